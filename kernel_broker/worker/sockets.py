"""Stand-ins for the ZMQ sockets and threads that ipykernel's classes expect.

`Session.send` and `OutStream` are duck-typed: they need `send_multipart`, `flush` and a few names. The
stand-ins turn what is sent into `jupyter` frames on the worker's channel.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from ipykernel.iostream import IOPubThread
from jupyter_client.session import DELIM

from kernel_broker.wire.frames import Frame
from kernel_broker.wire.text import from_json
from kernel_broker.worker.channel import Channel


class Outlet:
    """Where every stand-in socket sends; connected to the channel after the fork."""

    def __init__(self) -> None:
        self.channel: Channel | None = None
        self.watcher: Callable[[str, str], None] | None = None

    def send(self, channel: str, wire: Sequence[Any]) -> None:
        """Send one signed Jupyter message (`[idents…, DELIM, signature, header, …]`).

        Before birth there is nobody to send to, and the message is dropped.
        """
        if self.channel is None:
            return
        start = wire.index(DELIM) + 2
        parts = [bytes(part) for part in wire[start:]]
        msg_type = from_json(parts[0])["msg_type"]
        head = {"ch": channel, "type": msg_type, "parent": from_json(parts[1]).get("msg_id", "")}
        if msg_type == "status":
            head["state"] = from_json(parts[3])["execution_state"]
        self.channel.send(Frame("jupyter", head, parts))


class ChannelSocket:
    """A socket of one Jupyter channel, as far as `jupyter_client.Session` looks at it."""

    closed = False
    context = None

    def __init__(self, outlet: Outlet, channel: str) -> None:
        self._outlet = outlet
        self._channel = channel
        self.io_loop: Any = None

    def send_multipart(self, parts: Sequence[Any], *_: Any, **__: Any) -> None:
        """Send one message."""
        self._outlet.send(self._channel, parts)

    def flush(self, *_: Any) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """The channel outlives its stand-ins."""


class IOPub(IOPubThread):
    """An IOPub thread without a thread: the control loop and the channel's queue do its work.

    With `thread` None, `OutStream.flush` sends from the calling thread, which is cheap and keeps order.
    """

    def __init__(self, outlet: Outlet) -> None:  # the base binds ZMQ sockets here; nothing of it is wanted
        self._outlet = outlet
        self._master_pid = os.getpid()
        self._pipe_flag = False
        self._stopped = False
        self.thread = None
        self.socket = ChannelSocket(outlet, "iopub")
        self.background_socket = self.socket
        self.io_loop: Any = None
        self.session: Any = None

    def awaken(self, io_loop: Any) -> None:
        """Take over after the fork: this process is the one that publishes."""
        self._master_pid = os.getpid()
        self.io_loop = io_loop

    def schedule(self, f: Callable[[], Any]) -> None:
        """Run `f` on the control loop; in a process that user code forked, at once."""
        if not self._is_master_process():
            f()
            return
        loop: asyncio.AbstractEventLoop = self.io_loop.asyncio_loop
        loop.call_soon_threadsafe(f)

    def send_multipart(self, parts: Sequence[Any], *_: Any, **__: Any) -> None:
        """Publish one message."""
        self._outlet.send("iopub", parts)

    def stop(self) -> None:
        """No thread to stop."""


class NoShellThread:
    """Stands for the absent shell channel thread: false, yet it knows the thread that runs user code."""

    def __init__(self) -> None:
        self.parent_thread = threading.main_thread()

    def __bool__(self) -> bool:
        return False
