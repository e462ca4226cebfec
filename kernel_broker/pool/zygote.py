"""The zygote seen from outside: exec it clean, ask it for workers, hear of their deaths."""

import asyncio
import contextlib
import secrets
import socket
import sys
from collections.abc import Callable
from typing import Any

from kernel_broker.errors import Unavailable
from kernel_broker.pool.environment import clean_environment
from kernel_broker.pool.handle import Worker
from kernel_broker.pool.sandbox import SandboxRules
from kernel_broker.wire.frames import Frame, FrameDecoder, encode


class Zygote:
    """One zygote process and the workers it forked. `on_exit(worker)` is called for each that ended."""

    def __init__(
        self, preload: tuple[str, ...], on_exit: Callable[[Worker], None], sandbox: SandboxRules
    ) -> None:
        self._preload = preload
        self._sandbox = sandbox
        self._on_exit = on_exit
        self._forks: dict[str, tuple[socket.socket, asyncio.Future[Worker]]] = {}
        self._workers: dict[int, Worker] = {}
        self._decoder = FrameDecoder()
        self.info: dict[str, Any] = {}
        """`kernel_info` and `runtime`, once it is up."""
        self.up: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Exec the process; `up` is done when it is ready to fork."""
        self._sock, theirs = socket.socketpair()
        self._sock.setblocking(False)
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "kernel_broker.worker.zygote",
                str(theirs.fileno()),
                ",".join(self._preload),
                self._sandbox.to_text(),
                pass_fds=[theirs.fileno()],
                env=clean_environment(),
                cwd="/",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C at the broker's terminal is the broker's to handle
            )
        asyncio.get_running_loop().add_reader(self._sock, self._readable)

    async def fork(self, own: dict[str, str] | None = None) -> Worker:
        """A new worker, not yet connected, with folders of its `own`; raises `Unavailable`."""
        await asyncio.shield(self.up)
        ours, theirs = socket.socketpair()
        worker_id = secrets.token_hex(8)
        forked: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
        self._forks[worker_id] = ours, forked
        try:
            with theirs:
                request = b"".join(encode(Frame("fork", {"id": worker_id, "own": own})))
                socket.send_fds(self._sock, [request], [theirs.fileno()])
            return await forked
        except BaseException as error:
            ours.close()
            if isinstance(error, OSError):
                raise Unavailable("no worker can be forked right now", code="workers_unavailable") from error
            raise
        finally:
            self._forks.pop(worker_id, None)

    def kill(self, pid: int) -> None:
        """End a worker and its process group; harmless if it has ended already."""
        with contextlib.suppress(OSError):
            self._sock.send(b"".join(encode(Frame("kill", {"pid": pid}))))

    async def wait(self) -> int:
        """The exit status of the zygote, when it ends."""
        return await self._process.wait()

    async def stop(self) -> None:
        """End the zygote (and by that every worker it forked)."""
        self._disconnect()
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def _disconnect(self) -> None:
        if self._sock.fileno() < 0:
            return
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()
        gone = Unavailable(
            "the process that forks workers has ended", code="workers_unavailable", retry_after=1
        )
        for worker in self._workers.values():
            worker.on_exit_unknown()
        self._workers.clear()
        waiting: list[asyncio.Future[Any]] = [self.up, *(forked for _, forked in self._forks.values())]
        for future in waiting:
            if not future.done():
                future.set_exception(gone)
                future.exception()  # whoever waits gets it; if nobody does, that is no error

    def _readable(self) -> None:
        try:
            data = self._sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._disconnect()
            return
        self._decoder.feed(data)
        for frame in self._decoder:
            self._on_frame(frame)

    def _on_frame(self, frame: Frame) -> None:
        match frame.kind, frame.head:
            case "up", head:
                self.info = head
                self.up.set_result(None)
            case "forked", {"id": worker_id, "pid": pid} if worker_id in self._forks:
                sock, forked = self._forks[worker_id]
                self._workers[pid] = Worker(pid, sock, self.kill)
                if not forked.done():
                    forked.set_result(self._workers[pid])
            case "refused", {"id": worker_id, "reason": reason} if worker_id in self._forks:
                refusal = Unavailable(f"no worker can be forked: {reason}", code="workers_unavailable")
                self._forks[worker_id][1].set_exception(refusal)
            case "exited", {"pid": pid, "status": status} if pid in self._workers:
                worker = self._workers.pop(pid)
                worker.on_exit(status)
                self._on_exit(worker)
