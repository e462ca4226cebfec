"""The on-demand local broker: one per user and Python environment, shared by all notebook servers.

The broker inherits a locked file and so holds the lock as long as it lives, whatever ends it. "Is there
one" is thereby a question to the operating system, and two can never run at once.
"""

import asyncio
import json
import os
import secrets
import socket
import stat
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kernel_manager.client.endpoint import Endpoint
from kernel_manager.client.errors import LocalBrokerFailed
from kernel_manager.launch import Launched, launch, try_lock
from kernel_manager.settings import LocalSettings

START_SECONDS: Final = 60.0
"""A broker that does not listen by then is given up."""
_LOG_LIMIT: Final = 2**20
_TAIL_LINES: Final = 15


@dataclass(frozen=True, slots=True)
class LocalStatus:
    """What is known of the local broker from outside."""

    running: bool
    listening: bool
    record: dict[str, Any]
    """Its pid and version as noted at its start; empty if none ever started here."""


async def ensure_local_broker(settings: LocalSettings, *, deadline: float = START_SECONDS) -> Endpoint:
    """The local broker's endpoint; starts the broker if it is not running.

    Safe to call from many processes at once. Raises `LocalBrokerFailed`, which shows the log's last lines.
    """
    if sys.platform != "linux":
        raise LocalBrokerFailed(
            f"a local broker runs on Linux only, and this is {sys.platform}: "
            "set SERVERLESS_KERNEL_URL to the URL of a broker elsewhere"
        )
    if not is_listening(settings.socket):
        try:
            await _start(settings, time.monotonic() + deadline)
        except OSError as error:
            raise LocalBrokerFailed(f"the local broker cannot be started: {error}") from error
    return Endpoint("http://localhost", _read_token(settings.token_file), uds=str(settings.socket))


def read_status(settings: LocalSettings) -> LocalStatus:
    """Look, without starting anything."""
    running = False
    if settings.lock_file.exists():
        lock = try_lock(settings.lock_file)
        running = lock is None
        if lock is not None:
            os.close(lock)
    return LocalStatus(running, is_listening(settings.socket), _read_record(settings))


def is_listening(path: Path) -> bool:
    """Whether a process takes connections on this socket (a file left by a killed one does not)."""
    if sys.platform == "win32":
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except BlockingIOError:
            return True  # its backlog is full: busy, but there
        except OSError:
            return False
    return True


def read_tail(log_file: Path) -> str:
    """The last lines of the broker's log."""
    with suppress(OSError):
        text = log_file.read_bytes()[-8192:].decode(errors="replace")
        return "\n".join(text.splitlines()[-_TAIL_LINES:])
    return "(no log)"


async def _start(settings: LocalSettings, deadline: float) -> None:
    _make_private(settings.runtime_dir)
    _make_private(settings.state_dir)
    launched: Launched | None = None
    pause = 0.01
    try:
        while not is_listening(settings.socket):
            if launched is not None and launched.has_ended():
                raise LocalBrokerFailed(_describe_failure("ended while starting", settings))
            if time.monotonic() > deadline:
                raise LocalBrokerFailed(_describe_failure("does not listen", settings))
            launched = launched or _launch_first(settings)
            # Nothing to wait on: the socket and the lock may be another process's to bring or to free.
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.1)
    finally:
        if launched is not None:
            launched.close()


def _launch_first(settings: LocalSettings) -> Launched | None:
    """Launch the broker, unless one lives or is being started: that one has the lock."""
    lock = try_lock(settings.lock_file)
    if lock is None:
        return None
    try:
        if not settings.token_file.exists():
            _write_private(settings.token_file, secrets.token_urlsafe(32))
        _bound_log(settings.log_file)
        launched = launch(settings.python, _to_environment(settings), settings.log_file, lock)
    finally:
        os.close(lock)
    note = {"pid": launched.pid, "version": launched.version, "python": settings.python}
    _write_private(settings.record_file, json.dumps(note))
    return launched


def _to_environment(settings: LocalSettings) -> dict[str, str]:
    given = dict(settings.environment)
    for name in ("HOST", "PORT", "TOKEN", "AUTH", "TLS_CERT", "TLS_KEY", "TLS_CLIENT_CA"):
        given.pop(f"KERNEL_BROKER_{name}", None)
    if "KERNEL_BROKER_STORE_URL_FILE" not in given:
        given.setdefault("KERNEL_BROKER_STORE_URL", f"sqlite:///{settings.state_dir / 'sessions.sqlite'}")
    return {
        "KERNEL_BROKER_IDLE_EXIT": "1800",
        **given,
        "KERNEL_BROKER_UDS": str(settings.socket),
        "KERNEL_BROKER_TOKEN_FILE": str(settings.token_file),
    }


def _make_private(directory: Path) -> None:
    """A directory of this user alone; refuses one that somebody else could have put there."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise LocalBrokerFailed(f"{directory} is not a directory of this user; remove it")
    if stat.S_IMODE(found.st_mode) & 0o077:
        directory.chmod(0o700)


def _write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 so that no reader ever sees half of it."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def _bound_log(log_file: Path) -> None:
    with suppress(FileNotFoundError):
        if log_file.stat().st_size > _LOG_LIMIT:
            log_file.replace(log_file.with_name(f"{log_file.name}.1"))


def _read_token(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise LocalBrokerFailed(f"the local broker's token cannot be read: {error}") from error


def _read_record(settings: LocalSettings) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        record = json.loads(settings.record_file.read_text(encoding="utf-8"))
        if isinstance(record, dict):
            return record
    return {}


def _describe_failure(what: str, settings: LocalSettings) -> str:
    tail = read_tail(settings.log_file)
    return f"the local broker {what}; the end of its log ({settings.log_file}):\n{tail}"
