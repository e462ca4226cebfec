"""The zygote: a clean, single-threaded process with the kernel built and libraries imported, which forks.

Exec'd by the broker as `python -m kernel_broker.worker.zygote FD PRELOAD SANDBOX`, with no secret in its
environment. Talks frames over descriptor FD:

    broker → zygote   fork {id, own} + one descriptor: the worker's end of its channel
    broker → zygote   kill {pid}
    zygote → broker   up {kernel_info, runtime} · forked {id, pid} · refused {id, reason}
    zygote → broker   exited {pid, status}
"""

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import selectors
import signal
import socket
import sys
import traceback
from typing import Any, NoReturn

from kernel_broker.wire.frames import Frame, FrameDecoder, encode
from kernel_broker.worker import birth, runtime
from kernel_broker.worker.app import WorkerApp
from kernel_broker.worker.sandbox import calls
from kernel_broker.worker.sandbox.place import Place
from kernel_broker.worker.sandbox.plan import CHILDREN, Rules, Sandbox
from kernel_broker.worker.sandbox.private import Own
from kernel_broker.worker.worker import Worker

AUTO_PRELOAD = ("numpy", "pandas", "matplotlib.pyplot")
ALLOWED_THREADS = ("jemalloc_bg_thd",)
"""Threads that are known to be harmless over a fork (started by imports; pyarrow's allocator)."""


class Zygote:
    """Serves fork requests until the broker's end of the socket is closed."""

    def __init__(self, sock: socket.socket, app: WorkerApp, sandbox: Sandbox | None = None) -> None:
        self._sock = sock
        self._app = app
        self._sandbox = sandbox
        self._decoder = FrameDecoder()
        self._children: set[int] = set()
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)

    def serve(self) -> None:
        """Fork on request, report deaths, return when the broker is gone."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._wake in ready:
                    self._report_deaths()
                if self._sock in ready and not self._serve_requests():
                    signal.set_wakeup_fd(-1)
                    self._end_all()
                    return

    def send(self, kind: str, **head: Any) -> None:
        """Send one frame to the broker."""
        self._sock.sendall(b"".join(encode(Frame(kind, head))))

    def _serve_requests(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._sock, 65536, 64)
        if not data:
            return False
        self._decoder.feed(data)
        for frame in self._decoder:
            if frame.kind == "fork":
                self._fork(frame.head["id"], descriptors.pop(0), self._place(frame.head["own"]))
            elif frame.head["pid"] in self._children:
                _kill(frame.head["pid"])
        return True

    def _place(self, own: dict[str, str] | None) -> Place | None:
        if self._sandbox is None:
            return None
        return Place(self._sandbox, Own(**own) if own is not None else None)

    def _fork(self, worker_id: str, descriptor: int, place: Place | None) -> None:
        threads = runtime.foreign_threads(ALLOWED_THREADS)
        if threads:
            os.close(descriptor)
            if place is not None:
                place.close()
            self.send("refused", id=worker_id, reason=f"the zygote runs threads: {', '.join(threads)}")
            return
        zygote_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_worker(descriptor, zygote_pid, place)
        os.close(descriptor)
        if place is not None:
            place.close()
        self._children.add(pid)
        self.send("forked", id=worker_id, pid=pid)

    def _become_worker(self, descriptor: int, zygote_pid: int, place: Place | None) -> NoReturn:
        sock = socket.socket(fileno=descriptor)
        try:
            birth.be_born(sock, zygote_pid, place)
            Worker(self._app, sock, place.own if place is not None else None).run()
        except BaseException:
            sock.setblocking(True)
            sock.sendall(b"".join(encode(Frame("crashed", {"traceback": traceback.format_exc()}))))
        finally:
            os._exit(1)

    def _report_deaths(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake.recv(4096)
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid in self._children:
                    self._children.discard(pid)
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)  # what it started does not outlive it
                    self.send("exited", pid=pid, status=os.waitstatus_to_exitcode(status))
                self._end_orphans()

    def _end_all(self) -> None:
        """The broker is gone: end the workers, and what they have left, until nothing is."""
        for pid in self._children:
            _kill(pid)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, 0)[0]:
                self._children.clear()
                self._end_orphans()

    def _end_orphans(self) -> None:
        """End what workers have left in groups of their own: in a sandbox, that is handed to this process."""
        if self._sandbox is None or "descendants" not in self._sandbox.layers:
            return
        for child in CHILDREN.read_text().split():
            if int(child) not in self._children:
                _kill(int(child))


def _kill(pid: int) -> None:
    """End a child that is not reaped yet, and its group; one that was just forked leads no group so far."""
    for end in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            end(pid, signal.SIGKILL)


def preload(names: list[str]) -> list[str]:
    """Import the modules (`auto`: those of `AUTO_PRELOAD` that are installed); what was loaded."""
    loaded = []
    for name in names:
        wanted = AUTO_PRELOAD if name == "auto" else (name,)
        for module in wanted:
            if name == "auto" and importlib.util.find_spec(module.split(".")[0]) is None:
                continue
            importlib.import_module(module)
            loaded.append(module)
    return loaded


def main() -> None:
    """Build the kernel, preload, freeze, serve."""
    gc.disable()  # a collection before the fork would only touch pages the workers share
    descriptor, names = int(sys.argv[1]), [name for name in sys.argv[2].split(",") if name]
    rules = Rules.from_plain(json.loads(sys.argv[3])) if sys.argv[3] else None
    del sys.argv[1:], sys.path[0]
    sys.argv[0] = "ipykernel_launcher"
    sock = socket.socket(fileno=descriptor)
    if rules is not None:
        calls.control(calls.PR_SET_DUMPABLE, 0)
        calls.control(calls.PR_SET_CHILD_SUBREAPER, 1)
    app = WorkerApp.instance()
    app.initialize([])
    loaded = preload(names)
    runtime.settle(app)
    sandbox = Sandbox(rules) if rules is not None else None
    gc.collect()
    gc.freeze()
    zygote = Zygote(sock, app, sandbox)
    zygote.send("up", kernel_info=app.kernel.kernel_info, runtime=runtime.describe(loaded))
    zygote.serve()


if __name__ == "__main__":
    main()
