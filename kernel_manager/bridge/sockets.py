"""The five sockets of one kernel, bound before anybody is told their ports.

Plain sockets on the loop's selector: a send can swallow the one edge that announces waiting input, so
every send looks for input afterwards.
Sources: "Messaging in Jupyter" 5.4 (channels, iopub_welcome of JEP 65), CurveZMQ as jupyter_client 8.10.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

import zmq

CHANNELS: Final = ("shell", "control", "stdin", "iopub", "hb")
_TYPES: Final = {"iopub": zmq.XPUB, "hb": zmq.REP}
_SUBSCRIBED: Final = b"\x01"
_LINGER_MS: Final = 200
_SEND_QUEUE: Final = 20_000
"""Messages held for a reader that is behind; ZMQ's own 1000 loses output that arrives in one burst."""
_COPY_BELOW: Final = 2**16

Context = zmq.Context[zmq.Socket[bytes]]
Receive = Callable[[str, list[bytes]], None]


@dataclass(frozen=True, slots=True)
class Curve:
    """CurveZMQ keys (Z85); with them a socket talks to holders of the public key only."""

    public: bytes
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Address:
    """Where to bind. A port that is missing or 0 is chosen here; with `ipc`, ports end a path `ip`."""

    transport: str
    ip: str
    ports: Mapping[str, int] = field(default_factory=dict)
    curve: Curve | None = None


class Sockets:
    """Shell, control, stdin (ROUTER), iopub (XPUB) and heartbeat (REP). Belongs to the running loop."""

    def __init__(self, context: Context, address: Address) -> None:
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._receive: Receive | None = None
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        self.ports: dict[str, int] = {}
        try:
            for channel in CHANNELS:
                self._sockets[channel] = sock = self._make(context, channel)
                self.ports[channel] = self._bind(sock, address.ports.get(channel, 0))
        except BaseException:
            self.close()
            raise

    def open(self, receive: Receive) -> None:
        """Start taking input: `receive(channel, frames)`, for iopub with the topic of a new subscription."""
        self._receive = receive
        for channel, sock in self._sockets.items():
            self._loop.add_reader(sock.fileno(), self._drain, channel)
            self._drain(channel)

    def send(self, channel: str, frames: Sequence[bytes]) -> None:
        """Send; a peer that is gone or hopelessly behind loses the message, nobody waits for it."""
        sock = self._sockets[channel]
        if sock.closed:
            return
        copy = max(map(len, frames)) < _COPY_BELOW
        sock.send_multipart(frames, zmq.NOBLOCK, copy=copy)
        if _has_input(sock):
            self._loop.call_soon(self._drain, channel)

    def heal(self) -> None:
        """Bind ipc sockets anew whose files are gone: a manager removes them at every restart."""
        if self._address.transport != "ipc":
            return
        for channel, sock in self._sockets.items():
            path = self._path(self.ports[channel])
            if not path.exists():
                sock.unbind(f"ipc://{path}")
                sock.bind(f"ipc://{path}")

    def close(self) -> None:
        """Close all; what was just sent still has a moment to leave. Idempotent."""
        for sock in self._sockets.values():
            if not sock.closed:
                self._loop.remove_reader(sock.fileno())
                sock.close(_LINGER_MS)

    def _drain(self, channel: str) -> None:
        sock = self._sockets[channel]
        while not sock.closed and _has_input(sock):
            frames = sock.recv_multipart(zmq.NOBLOCK)
            if channel == "hb":
                sock.send_multipart(frames, zmq.NOBLOCK)
            elif channel == "iopub":
                self._welcome(frames[0])
            elif self._receive is not None:
                self._receive(channel, frames)

    def _welcome(self, event: bytes) -> None:
        if event.startswith(_SUBSCRIBED) and self._receive is not None:
            self._receive("iopub", [event[1:]])

    def _make(self, context: Context, channel: str) -> "zmq.Socket[bytes]":
        kind = _TYPES.get(channel, zmq.ROUTER)
        sock = context.socket(kind)
        sock.setsockopt(zmq.SNDHWM, _SEND_QUEUE)
        if kind == zmq.ROUTER:
            sock.setsockopt(zmq.ROUTER_HANDOVER, 1)  # a client that reconnects keeps its identity
        if self._address.curve is not None:
            sock.setsockopt(zmq.CURVE_SECRETKEY, self._address.curve.secret)
            sock.setsockopt(zmq.CURVE_PUBLICKEY, self._address.curve.public)
            sock.setsockopt(zmq.CURVE_SERVER, 1)
        if self._is_ip6:
            sock.setsockopt(zmq.IPV6, 1)
        return sock

    @property
    def _is_ip6(self) -> bool:
        return self._address.transport == "tcp" and ":" in self._address.ip

    def _bind(self, sock: "zmq.Socket[bytes]", port: int) -> int:
        if self._address.transport == "ipc":
            port = port or self._claim_path()
            sock.bind(f"ipc://{self._path(port)}")
            return port
        ip = f"[{self._address.ip}]" if self._is_ip6 else self._address.ip
        sock.bind(f"tcp://{ip}:{port or '*'}")
        return int(sock.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])

    def _path(self, port: int) -> Path:
        return Path(f"{self._address.ip}-{port}")

    def _claim_path(self) -> int:
        for number in count(1):
            try:
                descriptor = os.open(self._path(number), os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                continue
            os.close(descriptor)  # the name is ours; binding replaces the file
            return number
        raise AssertionError


def _has_input(sock: "zmq.Socket[bytes]") -> bool:
    return bool(int(sock.getsockopt(zmq.EVENTS)) & zmq.POLLIN)
