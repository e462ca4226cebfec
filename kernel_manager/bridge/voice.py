"""What the kernel says: messages signed with the connection's key and put on its sockets."""

import json
from base64 import b64decode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from jupyter_client.session import DELIM, Session

from kernel_broker.wire.events import Event
from kernel_manager.bridge.request import Request
from kernel_manager.bridge.sockets import Sockets

Json = dict[str, Any]


class Voice:
    """Speaks for one kernel: its own messages, and the worker's, passed on with their own headers."""

    def __init__(self, session: Session, sockets: Sockets) -> None:
        self._session = session
        self._sockets = sockets

    def publish(self, msg_type: str, content: Json, request: Request | None = None) -> None:
        """Send to everybody, on iopub."""
        message = self._session.msg(msg_type, content)
        message["parent_header"] = request.header if request is not None else {}
        self._send("iopub", [self._topic(msg_type)], message)

    def status(self, state: str, request: Request | None = None) -> None:
        """Publish busy, idle or starting."""
        self.publish("status", {"execution_state": state}, request)

    def reply(self, request: Request, content: Json, metadata: Json | None = None) -> None:
        """Answer the front end that asked."""
        message = self._session.msg(request.reply_type, content, metadata=metadata)
        message["parent_header"] = request.header
        self._send(request.channel, request.idents, message)

    def answer(self, request: Request, content: Json, metadata: Json | None = None) -> None:
        """A reply of the bridge's own, between busy and idle as every reply is."""
        self.status("busy", request)
        self.reply(request, content, metadata)
        self.status("idle", request)

    def abort(self, request: Request) -> None:
        """Answer a cell that an error in front of it has cancelled, as ipykernel does."""
        started = datetime.now(UTC).isoformat()
        metadata = {"started": started, "dependencies_met": True, "status": "aborted"}
        self.answer(request, {"status": "aborted"}, metadata | {"engine": self._session.session})

    def fail(self, request: Request, ename: str, evalue: str, *, busy: bool) -> None:
        """Answer with an error, as a kernel would whose cell raised it; `busy`: nothing was said before."""
        error = {"ename": ename, "evalue": evalue, "traceback": [f"\x1b[31m{ename}\x1b[39m: {evalue}"]}
        if busy:
            self.status("busy", request)
        if request.is_cell:
            self.publish("error", error, request)
        if request.expects_reply:
            more = {"execution_count": 0, "payload": [], "user_expressions": {}} if request.is_cell else {}
            self.reply(request, {"status": "error", **error, **more})
        self.status("idle", request)

    def welcome(self, topic: bytes) -> None:
        """Greet a new subscriber, so that it knows it hears everything from here on."""
        message = self._session.msg("iopub_welcome", {"subscription": topic.decode(errors="replace")})
        self._send("iopub", [topic] if topic else [], message)

    def relay(self, event: Event, idents: Sequence[bytes] = ()) -> None:
        """Pass a worker's message on as it is: only the signature is ours."""
        channel = event["channel"]
        prefix = [self._topic(event["msg_type"])] if channel == "iopub" else idents
        self._send(channel, prefix, event, [b64decode(item) for item in event["buffers"]])

    def _topic(self, msg_type: str) -> bytes:
        return f"kernel.{self._session.session}.{msg_type}".encode()

    def _send(
        self, channel: str, prefix: Sequence[bytes], message: Json, buffers: Sequence[bytes] = ()
    ) -> None:
        names = ("header", "parent_header", "metadata", "content")
        parts = [self._pack(message[name]) for name in names]
        self._sockets.send(channel, [*prefix, DELIM, self._session.sign(parts), *parts, *buffers])

    def _pack(self, part: Json) -> bytes:
        try:
            packed: bytes = self._session.pack(part)
        except UnicodeEncodeError:  # half of a surrogate pair: JSON can say it, UTF-8 cannot
            packed = json.dumps(part, default=str).encode()
        return packed
