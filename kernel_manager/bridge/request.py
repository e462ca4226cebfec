"""One request from a front end, and the messages a bridge answers with on its own."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kernel_broker.wire.messages import Channel

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FrontEndRequest:
    """A verified request as it came: dicts as the front end wrote them, dates unparsed."""

    channel: Channel
    identities: list[bytes]
    header: Json
    parent_header: Json
    metadata: Json
    content: Json
    buffers: list[bytes]

    @classmethod
    def read(cls, channel: Channel, identities: list[bytes], parts: list[bytes]) -> "FrontEndRequest":
        """From signed parts whose signature has been checked; raises ValueError on bad JSON."""
        header, parent_header, metadata, content = (json.loads(part) for part in parts[1:5])
        return cls(channel, identities, header, parent_header, metadata, content, parts[5:])

    @property
    def msg_type(self) -> str:
        """The request's type."""
        return str(self.header["msg_type"])

    @property
    def reply_type(self) -> str:
        """The type of the reply it waits for."""
        return self.msg_type.removesuffix("_request") + "_reply"

    @property
    def wants_reply(self) -> bool:
        """Whether a reply is due (comm messages have none)."""
        return self.msg_type.endswith("_request")


def abort_metadata(engine: str) -> Json:
    """What ipykernel puts in the metadata of an aborted reply."""
    started = datetime.now(UTC).isoformat()
    return {"started": started, "dependencies_met": True, "engine": engine, "status": "aborted"}


def failure(ename: str, evalue: str) -> Json:
    """The content of an error, coloured as IPython's are."""
    return {"ename": ename, "evalue": evalue, "traceback": [f"\x1b[31m{ename}\x1b[39m: {evalue}"]}
