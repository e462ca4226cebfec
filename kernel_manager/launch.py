"""Starts the broker's process: detached, with an environment of its own, holding the lock. Linux only."""

import os
import select
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from kernel_manager.client.errors import LocalBrokerFailed
from kernel_manager.settings import PRODUCT

if sys.platform != "win32":
    import fcntl

# Runs in a small Python between us and the broker, so that the broker is nobody's child (no zombie in a
# notebook server), leads its own session, and has the signals of a fresh process: a server started with
# `nohup … &` ignores SIGINT, and every worker would inherit that.
_DETACH: Final = """
import os, signal, sys
if pid := os.fork():
    print(pid)
    sys.exit()
os.setsid()
os.dup2(2, 1)
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD):
    signal.signal(number, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_SETMASK, [])
os.execv(sys.argv[1], sys.argv[1:])
"""


class Launched:
    """The broker's process as its starter sees it. `close` lets go of it; it runs on."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.version = installed_version()
        try:
            self._pidfd: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            self._pidfd = None

    def has_ended(self) -> bool:
        """Whether the process is gone."""
        if self._pidfd is None:
            return True
        poller = select.poll()  # `select.select` takes no descriptor above 1023, and servers have many
        poller.register(self._pidfd, select.POLLIN)
        return bool(poller.poll(0))

    def close(self) -> None:
        """Forget the process."""
        if self._pidfd is not None:
            os.close(self._pidfd)


def installed_version() -> str:
    """The version of the distribution this module came with."""
    try:
        return version(PRODUCT)
    except PackageNotFoundError:
        return "unknown"


def try_lock(path: Path) -> int | None:
    """A descriptor that holds the lock, or None while another process does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def launch(python: str, environment: dict[str, str], log_file: Path, lock: int) -> Launched:
    """Start the broker with `lock` inherited; returns once its process exists."""
    broker = [python, "-P", "-m", "kernel_broker"]
    log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        detached = subprocess.run(  # noqa: S603
            [python, "-I", "-S", "-c", _DETACH, *broker],
            env=environment,
            cwd=environment.get("HOME", "/"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            pass_fds=[lock],
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise LocalBrokerFailed(f"the local broker's process could not be made: {error}") from error
    finally:
        os.close(log)
    return Launched(int(detached.stdout))
