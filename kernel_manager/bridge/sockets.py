"""A kernel's five ZMQ sockets, bound before anybody is told their ports.

Sources: "Messaging in Jupyter" 5.4 (channels, iopub_welcome of JEP 65), CurveZMQ as jupyter_client 8.10.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.session import Session

CHANNELS = ("shell", "control", "stdin", "iopub", "hb")
_TYPES = {
    "shell": zmq.ROUTER,
    "control": zmq.ROUTER,
    "stdin": zmq.ROUTER,
    "iopub": zmq.XPUB,
    "hb": zmq.REP,
}
_LINGER_MS = 1000


@dataclass(frozen=True, slots=True)
class Address:
    """Where to bind: `ports` by channel, 0 for any. With `ipc`, `ip` is a path that ports are added to."""

    transport: str
    ip: str
    ports: dict[str, int]
    curve_keys: tuple[bytes, bytes] | None = None
    """Public and secret key of CurveZMQ; None for no encryption."""


class KernelSockets:
    """The sockets of one kernel; used on the bridge loop only."""

    def __init__(self, context: zmq.asyncio.Context, address: Address, session: Session) -> None:
        self.session = session
        self.ports: dict[str, int] = {}
        self._sockets: dict[str, zmq.asyncio.Socket] = {}
        try:
            for channel in CHANNELS:
                self._open(context, channel, address)
        except BaseException:
            self.close()
            raise

    def _open(self, context: zmq.asyncio.Context, channel: str, address: Address) -> None:
        socket = context.socket(_TYPES[channel])
        self._sockets[channel] = socket
        socket.linger = _LINGER_MS
        if _TYPES[channel] == zmq.ROUTER:
            socket.router_handover = 1
        if address.curve_keys is not None:
            socket.curve_publickey, socket.curve_secretkey = address.curve_keys
            socket.curve_server = True
        port = address.ports.get(channel, 0)
        if address.transport == "ipc":
            port = port or CHANNELS.index(channel) + 1
            socket.bind(f"ipc://{address.ip}-{port}")
        elif port:
            socket.bind(f"tcp://{address.ip}:{port}")
        else:
            port = socket.bind_to_random_port(f"tcp://{address.ip}")
        self.ports[channel] = port

    async def receive(self, channel: str) -> tuple[list[bytes], list[bytes]]:
        """The next message: its identities, and its signed parts (signature, header, …)."""
        identities, parts = self.session.feed_identities(await self._sockets[channel].recv_multipart())
        return identities, parts

    def send(self, channel: str, message: dict[str, Any], identities: Sequence[bytes] = ()) -> None:
        """Sign and send one message; `message` has the four dicts and `buffers`."""
        topic = [message["header"]["msg_type"].encode()] if channel == "iopub" else list(identities)
        self.session.send(self._sockets[channel], message, ident=topic, buffers=message.get("buffers"))

    async def beat(self) -> None:
        """Echo heartbeats until cancelled."""
        socket = self._sockets["hb"]
        while True:
            await socket.send_multipart(await socket.recv_multipart())

    async def welcome(self) -> None:
        """Greet each subscriber of iopub until cancelled."""
        while True:
            event = await self._sockets["iopub"].recv()
            if event[:1] == b"\x01":
                topic = event[1:].decode(errors="replace")
                message = self.session.msg("iopub_welcome", {"subscription": topic})
                self.session.send(self._sockets["iopub"], message, ident=event[1:] or None)

    def close(self) -> None:
        """Close every socket. Idempotent."""
        for socket in self._sockets.values():
            socket.close()
