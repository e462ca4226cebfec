"""Requests as front ends send them, checked and unpacked."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from jupyter_client.session import Session

Json = dict[str, Any]


@dataclass(eq=False, slots=True)
class Request:
    """One Jupyter message from a front end; dates stay as the front end wrote them."""

    channel: str
    idents: list[bytes]
    """The route back: the ROUTER identity of the front end's socket."""
    header: Json
    parent_header: Json = field(default_factory=dict)
    metadata: Json = field(default_factory=dict)
    content: Json = field(default_factory=dict)
    buffers: list[bytes] = field(default_factory=list)
    accepted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the broker has it."""
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a worker has begun it, or never will."""

    @property
    def msg_type(self) -> str:
        """The message's type."""
        return str(self.header["msg_type"])

    @property
    def reply_type(self) -> str:
        """The type of its reply."""
        return self.msg_type.removesuffix("_request") + "_reply"

    @property
    def expects_reply(self) -> bool:
        """Whether a front end waits for a reply (for comm messages none comes)."""
        return self.msg_type.endswith("_request")

    @property
    def is_cell(self) -> bool:
        """Whether it is a cell to run in turn."""
        return self.channel == "shell" and self.msg_type == "execute_request"


def read_request(session: Session, channel: str, frames: list[bytes]) -> Request:
    """Check the signature and unpack; raises ValueError, TypeError or KeyError for what is no request."""
    idents, parts = session.feed_identities(frames)
    session.deserialize(list(parts))
    header, parent_header, metadata, content = (json.loads(part) for part in parts[1:5])
    if not all(isinstance(part, dict) for part in (header, parent_header, metadata, content)):
        raise TypeError("a message part is not a JSON object")
    request = Request(channel, idents, header, parent_header, metadata, content, parts[5:])
    if not request.msg_type or not header["msg_id"]:
        raise ValueError("a message without type or id")
    return request
