"""The on-demand broker, with the real `python -m kernel_broker`."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kernel_manager import AsyncClient, LocalBrokerFailed
from kernel_manager.connect import new_client
from kernel_manager.local import ensure_local_broker, is_listening, read_status
from kernel_manager.settings import Settings, read_settings

START = """
import asyncio, os, signal
from kernel_manager.local import ensure_local_broker, read_status
from kernel_manager.settings import read_settings
signal.signal(signal.SIGINT, signal.SIG_IGN)
local = read_settings().local
asyncio.run(ensure_local_broker(local))
print(read_status(local).record["pid"])
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "SERVERLESS_KERNEL_RUNTIME_DIR": str(tmp_path / "run"),
        "SERVERLESS_KERNEL_TOKEN": "a secret",
        "SECRET": "another",
        "KERNEL_BROKER_PRELOAD": "",
        "KERNEL_BROKER_SPARES": "1",
        "KERNEL_BROKER_HOST": "0.0.0.0",  # where it listens and who may use it is settled
        "KERNEL_BROKER_AUTH": "none",
        "KERNEL_BROKER_TLS_CERT": "/of/another/broker",
        "KERNEL_BROKER_TLS_KEY": "/of/another/broker",
    }


@pytest.fixture
def settings(environ: dict[str, str]) -> Iterator[Settings]:
    settings = read_settings(environ)
    yield settings
    if read_status(settings.local).running:
        end(read_status(settings.local).record["pid"], signal.SIGKILL)


def end(pid: int, signum: int | None = None) -> None:
    """Wait until the process is gone, after sending it a signal if one is given."""
    descriptor = os.pidfd_open(pid)
    try:
        if signum is not None:
            signal.pidfd_send_signal(descriptor, signum)
        assert select.select([descriptor], [], [], 30)[0], f"process {pid} lives on"
    finally:
        os.close(descriptor)


def test_eight_servers_at_once_start_one_broker(environ: dict[str, str], settings: Settings) -> None:
    starters = [
        subprocess.Popen([sys.executable, "-c", START], env=environ, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    pids = {starter.communicate()[0].strip() for starter in starters}
    assert [starter.returncode for starter in starters] == [0] * 8
    assert len(pids) == 1
    assert settings.local.log_file.read_text().count("Started server process") == 1
    pid = int(pids.pop())
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    assert not int(status["SigIgn"], 16) & 1 << signal.SIGINT - 1, "workers must be interruptible"
    assert os.getsid(pid) == pid, "a Ctrl-C at the server's terminal must not reach it"
    assert Path(f"/proc/{pid}/fd/0").readlink() == Path("/dev/null")
    assert b"secret" not in Path(f"/proc/{pid}/environ").read_bytes()


async def test_everything_is_private(settings: Settings) -> None:
    settings.local.runtime_dir.mkdir(mode=0o755)
    endpoint = await ensure_local_broker(settings.local)
    for folder in (settings.local.runtime_dir, settings.local.state_dir):
        assert folder.stat().st_mode & 0o777 == 0o700
    for file in (settings.local.token_file, settings.local.log_file, settings.local.record_file):
        assert file.stat().st_mode & 0o777 == 0o600
    assert endpoint.token == settings.local.token_file.read_text()
    assert endpoint.token
    assert len(endpoint.token) > 30


async def test_killed_broker_is_started_again_by_the_next_call(settings: Settings) -> None:
    async with new_client(settings) as client:
        await client.create_session(session_id="mine")
        first = read_status(settings.local).record["pid"]
        end(first, signal.SIGKILL)
        assert settings.local.socket.exists(), "a socket that nobody serves is left behind"
        assert not is_listening(settings.local.socket)
        assert (await client.session("mine"))["session_id"] == "mine"
    status = read_status(settings.local)
    assert status.running
    assert status.listening
    assert status.record["pid"] != first


async def test_idle_broker_ends_with_every_process_of_its(environ: dict[str, str]) -> None:
    settings = read_settings({**environ, "KERNEL_BROKER_IDLE_EXIT": "1"})
    async with new_client(settings) as client:
        await client.ready()
        pid = read_status(settings.local).record["pid"]
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    assert len(family) >= 3, "broker, zygote, spare worker"
    _, alive = await asyncio.to_thread(psutil.wait_procs, family, 30)
    assert alive == []
    status = read_status(settings.local)
    assert (status.running, status.listening) == (False, False)


async def test_broker_that_dies_at_start_shows_its_log(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "url").write_text("carrier-pigeon://loft")
    local = read_settings({**environ, "KERNEL_BROKER_STORE_URL_FILE": str(tmp_path / "url")}).local
    with pytest.raises(LocalBrokerFailed, match=r"ended while starting(.|\n)*carrier-pigeon"):
        await ensure_local_broker(local)
    assert not read_status(local).running


async def test_broker_that_never_listens_is_given_up(environ: dict[str, str]) -> None:
    local = read_settings(environ).local
    local.runtime_dir.mkdir(mode=0o700)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(local.lock_file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(LocalBrokerFailed, match="does not listen"):
            await ensure_local_broker(local, deadline=0.2)
        holder.communicate()
    assert not read_status(local).running


HOLD = """
import sys
from pathlib import Path
from kernel_manager.launch import try_lock
lock = try_lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


async def test_folder_of_somebody_else_is_refused(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LocalBrokerFailed, match="not a directory of this user"):
        await ensure_local_broker(read_settings(environ).local)


async def test_long_log_is_set_aside_at_start(settings: Settings) -> None:
    settings.local.runtime_dir.mkdir(mode=0o700)
    settings.local.log_file.write_text("x" * (2**20 + 1))
    await ensure_local_broker(settings.local)
    assert settings.local.log_file.stat().st_size < 2**20
    assert settings.local.log_file.with_name("broker.log.1").stat().st_size > 2**20


async def test_only_linux_has_a_local_broker(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(LocalBrokerFailed, match="SERVERLESS_KERNEL_URL"):
        await ensure_local_broker(settings.local)


async def test_record_names_this_version(settings: Settings) -> None:
    endpoint = await ensure_local_broker(settings.local)
    record = json.loads(settings.local.record_file.read_text())
    async with AsyncClient(endpoint) as client:
        assert record["version"] == await client.version()
    assert record["python"] == sys.executable
