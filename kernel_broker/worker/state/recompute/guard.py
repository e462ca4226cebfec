"""What a rehearsal may not do: its process is a copy of the worker, and must leave no trace outside."""

import os
import resource
import signal
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from kernel_broker.worker.sandbox.calls import PR_SET_PDEATHSIG, control

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_FORBIDDEN = {
    **dict.fromkeys(("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"), "starts a process"),
    **dict.fromkeys(("os.spawn", "os.fork", "os.forkpty", "pty.spawn"), "starts a process"),
    **dict.fromkeys(("os.kill", "os.killpg"), "sends signals"),
    **dict.fromkeys(("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"), "uses the network"),
    **dict.fromkeys(("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link"), "changes files"),
    **dict.fromkeys(("os.symlink", "os.truncate", "os.chmod", "os.chown", "os.utime"), "changes files"),
}
"""Audit events of Python's own, and what they mean."""


class Forbidden(RuntimeError):
    """Code did what a rehearsal may not do."""


class Guard:
    """Watches over the code of cells, in a process that is given up afterwards."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        """What the code tried to do, even if it has caught the error."""
        self._active = False

    def seal(self, keep: int, parent: int, descriptors: Iterable[int]) -> None:
        """Cut this process off: it ends with its parent, can write no file, and use nothing that was open."""
        control(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        null = os.open(os.devnull, os.O_WRONLY)
        for number in descriptors:
            if number not in (keep, null):
                os.dup2(null, number, inheritable=False)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.dont_write_bytecode = True
        sys.addaudithook(self._audit)
        _refuse_threads(self)

    @contextmanager
    def watching(self, seconds: float) -> Iterator[None]:
        """Forbid for the block; if it takes longer, the process is ended."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        self._active = True
        try:
            yield
        finally:
            self._active = False
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._active:
            return
        if event in _FORBIDDEN or event.startswith("shutil."):
            self.refuse(_FORBIDDEN.get(event, "changes files"))
        if event == "open" and _writes(*arguments):
            self.refuse("writes to a file")

    def refuse(self, deed: str) -> NoReturn:
        """Note it, and stop the code."""
        self.seen.append(deed)
        raise Forbidden(deed)


def _writes(path: Any, _mode: Any, flags: Any) -> bool:
    return isinstance(flags, int) and bool(flags & _WRITING) and path != os.devnull


def _refuse_threads(guard: Guard) -> None:
    """Have no thread started while the guard watches."""
    import _thread

    for module, name in (
        (_thread, "start_new_thread"),
        (_thread, "start_new"),
        (threading, "_start_new_thread"),
    ):
        original = getattr(module, name)

        def start(*arguments: Any, _original: Any = original, **keywords: Any) -> Any:
            if guard._active:
                guard.refuse("starts a thread")
            return _original(*arguments, **keywords)

        setattr(module, name, start)


def open_descriptors() -> list[int]:
    """What is open now; a sandbox does not let a child see this of itself."""
    return [int(link.name) for link in Path("/proc/self/fd").iterdir()]


def fork() -> int:
    """A copy of this process. Its other threads are not in it, and it takes no lock of theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # what newer Pythons say of forks beside threads
        return os.fork()
