"""The README keeps its word: its commands run, its examples work, its tables are complete."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.broker import Broker
from kernel_broker.options import PREFIX, all_settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent


@pytest.fixture
def private_local_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVERLESS_KERNEL_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("KERNEL_BROKER_IDLE_EXIT", "2")
    monkeypatch.delenv("SERVERLESS_KERNEL_URL", raising=False)


def test_it_opens_with_two_commands() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    assert "jupyter lab examples/tour.ipynb" in blocks[0]
    assert blocks[1].strip().endswith(".venv/bin/pytest")


def test_the_headless_tour_runs(private_local_broker: None, tmp_path: Path) -> None:
    command = re.search(r"`\.venv/bin/(serverless-kernel run \S+) -o \S+`", README)
    assert command
    words = command.group(1).split()
    out = tmp_path / "out.ipynb"
    done = subprocess.run(
        [BIN / words[0], *words[1:], "-o", out], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert '"output_type": "execute_result"' in out.read_text()


def test_the_python_example_runs(private_local_broker: None) -> None:
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert example
    done = subprocess.run(
        [sys.executable, "-c", example.group(1)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\n5\n")


def test_the_curl_tour_runs(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker()
    tour = re.search(r"<!-- curl-tour.*?-->\n```sh\n(.*?)```", README, re.DOTALL)
    assert tour
    script = "set -e\n" + tour.group(1).replace("http://127.0.0.1:8080", broker.url)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '"text/plain":"42"' in done.stdout
    assert done.stdout.count('"text/plain":"41"') == 1


def test_every_setting_is_listed() -> None:
    for item in all_settings():
        assert f"`{PREFIX}{item.name.upper()}`" in README
    for name in re.findall(r"SERVERLESS_KERNEL_[A-Z_]+", (ROOT / "kernel_manager/settings.py").read_text()):
        assert f"`{name}`" in README, name


def test_help_lists_every_setting() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kernel_broker", "--help"], capture_output=True, text=True, check=True
    )
    for item in all_settings():
        assert f"{PREFIX}{item.name.upper()}" in done.stdout


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PORT", "many", "must be a number"),
        ("SPARES", "-1", "must not be negative"),
        ("SPARSE", "1", "unknown setting KERNEL_BROKER_SPARSE"),
        ("STORE_URL", "mysql://x", "mysql"),
        ("TOKEN_FILE", "/nowhere/token", "TOKEN_FILE cannot be read"),
        ("LOG_LEVEL", "loud", "must be debug"),
        ("PORT", "99999", "at most 65535"),
        ("WORKERS", "0", "at least 1"),
        ("UDS", "/no/such/place/x.sock", "no folder '/no/such/place'"),
        ("STORE_URL", "redis://127.0.0.1:1", "Redis"),
    ],
)
def test_a_bad_setting_is_told_in_one_line(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PREFIX + variable, value)
    done = subprocess.run(
        [sys.executable, "-m", "kernel_broker"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
