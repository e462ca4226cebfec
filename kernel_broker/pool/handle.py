"""One worker seen from outside: frames in, frames out, and how it ended."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from kernel_broker.pool.exchange import Exchange, make_exchange
from kernel_broker.pool.folders import Folder
from kernel_broker.wire.frames import Frame, FrameDecoder, FrameError, encode

_READ_SIZE = 2**18
_EXIT_SECONDS = 5.0


class WorkerLost(Exception):
    """The worker is gone; the message says how it ended, as far as that is known."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a worker ended: the exit status, or minus the signal that killed it; None if not known."""

    status: int | None

    def __str__(self) -> str:
        if self.status is None:
            return "it stopped answering and was ended"
        if self.status < 0:
            return f"it was killed by {signal.Signals(-self.status).name}"
        return f"it exited with status {self.status}"


class Worker:
    """A forked worker. Exactly one reader may iterate over `frames`."""

    def __init__(self, pid: int, sock: socket.socket, kill: Callable[[int], None]) -> None:
        self.pid = pid
        self._sock = sock
        self._kill = kill
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._killed = False
        self.exchange: Exchange | None = None
        """The memory that large bytes cross in; None where there is no such thing."""
        self.folder: Folder | None = None
        """The working directory that is its alone, if it has one."""
        self.home: Folder | None = None
        """In a strict sandbox: its home and temporary folder."""
        self.draft: Folder | None = None
        """In a strict sandbox, until a session moves in: what will be its working directory."""
        self.problem: str | None = None
        """Why it may not work in the folder that was asked for."""

    async def connect(self) -> None:
        """Start talking; must be called once, before anything else."""
        self.exchange = make_exchange()
        if self.exchange is not None:
            self.exchange.hand_over(self._sock)
        self._reader, self._writer = await asyncio.open_connection(sock=self._sock, limit=2 * _READ_SIZE)

    async def send(self, frame: Frame) -> None:
        """Send a frame; raises `WorkerLost`."""
        try:
            self._writer.writelines(encode(frame))
            await self._writer.drain()
        except OSError as error:
            raise WorkerLost(str(await self.wait_exit())) from error

    async def frames(self) -> AsyncIterator[Frame]:
        """The worker's frames as they come; ends when the worker is gone.

        A worker that sends what is no frame cannot be trusted any more and is killed.
        """
        decoder = FrameDecoder()
        try:
            while data := await self._reader.read(_READ_SIZE):
                decoder.feed(data)
                for frame in decoder:
                    yield frame
        except FrameError:
            self.kill()
        except ConnectionError:
            return

    @property
    def exit(self) -> Exit | None:
        """How it ended; None while it lives."""
        return self._exit.result() if self._exit.done() else None

    def kill(self) -> None:
        """End the process and its group now."""
        if not self._killed:
            self._killed = True
            self._kill(self.pid)

    def on_exit(self, status: int) -> None:
        """The process has been reaped."""
        if not self._exit.done():
            self._exit.set_result(Exit(status))

    def on_exit_unknown(self) -> None:
        """The zygote that would have reported the exit is gone."""
        if not self._exit.done():
            self._exit.set_result(Exit(None))

    async def wait_exit(self) -> Exit:
        """How it ended; a worker that has closed its socket but lives on is killed after a while."""
        try:
            async with asyncio.timeout(_EXIT_SECONDS):
                return await asyncio.shield(self._exit)
        except TimeoutError:
            self.kill()
            self.on_exit_unknown()
            return self._exit.result()

    async def remove_folders(self) -> None:
        """Remove every folder that was its alone; it has ended."""
        for folder in (self.folder, self.draft, self.home):
            if folder is not None:
                await folder.remove()

    def hang_up(self) -> None:
        """Close the socket, and let go of the shared memory."""
        self._writer.close()
        if self.exchange is not None:
            self.exchange.close()

    async def close(self) -> None:
        """Kill the process if it lives, and close the socket."""
        self.kill()
        self.hang_up()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
