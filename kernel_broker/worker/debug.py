"""The debugger's two connections: to debugpy over a ZMQ STREAM socket, and to the kernel's shell."""

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any

import zmq
from ipykernel.debugger import _is_debugpy_available
from zmq.eventloop.zmqstream import ZMQStream

from kernel_broker.worker.sockets import Outlet

if TYPE_CHECKING:
    from kernel_broker.worker.kernel import WorkerKernel


class DebugShellSocket:
    """Carries the debugger's silent execute requests to the kernel and their replies back.

    `ipykernel.debugger.Debugger.start` sends one and blocks the control thread for its reply.
    """

    def __init__(self, kernel: "WorkerKernel", main_loop: asyncio.AbstractEventLoop) -> None:
        self._kernel = kernel
        self._main_loop = main_loop
        self._reply: asyncio.Future[Any] | None = None

    def getsockopt(self, _option: int) -> bytes:
        """The routing id, which nothing routes by here."""
        return b"debugger"

    def send_multipart(self, parts: list[Any], *_: Any, **__: Any) -> None:
        """Have the kernel handle a request on its main loop."""
        frames = [zmq.Frame(bytes(part)) for part in parts]
        self._pending = asyncio.run_coroutine_threadsafe(self._handle(frames), self._main_loop)

    def recv_multipart(self, *_: Any, **__: Any) -> list[bytes]:
        """Wait for the reply to the last request."""
        return self._pending.result()

    async def _handle(self, frames: list[zmq.Frame]) -> list[bytes]:
        outlet, replies = Outlet(), _Replies()
        outlet.channel = replies  # type: ignore[assignment]
        kernel = self._kernel
        stream, kernel.shell_stream = kernel.shell_stream, replies
        try:
            await kernel.dispatch_shell(frames)
        finally:
            kernel.shell_stream = stream
        return replies.messages[-1]


class _Replies:
    """A shell stream that keeps what is sent."""

    def __init__(self) -> None:
        self.messages: list[list[bytes]] = []

    def send_multipart(self, parts: list[Any], *_: Any, **__: Any) -> None:
        self.messages.append([bytes(part) for part in parts])

    def flush(self, *_: Any) -> None:
        """Nothing is held back."""


def refuse_to_start(request: dict[str, Any]) -> dict[str, Any] | None:
    """The answer to a request that would start debugpy where it cannot listen; None where it can.

    ZeroMQ would end the process that may not have a socket.
    """
    try:
        socket.create_server(("127.0.0.1", 0)).close()
    except PermissionError:
        return {
            "type": "response",
            "seq": 0,
            "request_seq": request.get("seq", 0),
            "command": request["command"],
            "success": False,
            "message": "the debugger connects to itself over TCP, which this broker's sandbox does not allow"
            " (KERNEL_BROKER_NETWORK must be open)",
        }
    return None


class DebugLink:
    """Owns the ZMQ context of the debugger; made on the control thread with the first debug request."""

    def __init__(self, kernel: "WorkerKernel") -> None:
        if not _is_debugpy_available:
            return
        os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
        control_loop = kernel.control_thread.io_loop
        self._context = zmq.Context()
        stream = ZMQStream(self._context.socket(zmq.STREAM), control_loop)
        stream.on_recv(kernel.dispatch_debugpy, copy=False)
        kernel.debugpy_stream = stream
        kernel.debug_shell_socket = DebugShellSocket(kernel, kernel.io_loop.asyncio_loop)
        kernel.debugger = kernel.debugger_class(
            kernel.log,
            stream,
            kernel._publish_debug_event,
            kernel.debug_shell_socket,
            kernel.session,
            kernel._kernel_modules,
            kernel.debug_just_my_code,
            kernel.filter_internal_frames,
        )
        self._events = asyncio.ensure_future(kernel.poll_stopped_queue())
