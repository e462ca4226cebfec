"""Jupyter messages as they travel: JSON parts kept as bytes, never re-encoded on the way.

Source of the format: "Messaging in Jupyter", protocol 5.4, sections "General Message Format" and
"The Wire Protocol".
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Channel = Literal["shell", "control", "iopub", "stdin"]
CHANNELS: Final = ("shell", "control", "iopub", "stdin")
PROTOCOL_VERSION: Final = "5.4"
NOTICE: Final = "serverless_notice"
"""Marks, in a display's metadata, a notice of the broker's that is no output of the cell's own."""


@dataclass(frozen=True, slots=True)
class Message:
    """One Jupyter message; the four dicts are UTF-8 JSON objects on one line, unparsed."""

    channel: Channel
    msg_type: str
    parent_id: str
    """`msg_id` of the request this message answers, empty if none."""
    header: bytes
    parent_header: bytes
    metadata: bytes
    content: bytes
    buffers: Sequence[bytes] = ()

    @property
    def size(self) -> int:
        """Bytes of the message, buffers included."""
        dicts = len(self.header) + len(self.parent_header) + len(self.metadata) + len(self.content)
        return dicts + sum(map(len, self.buffers))

    def read_content(self) -> dict[str, Any]:
        """The content, parsed."""
        content: dict[str, Any] = json.loads(self.content)
        return content

    def to_line(self, seq: int) -> bytes:
        """The message as one NDJSON event line, numbered `seq`."""
        buffers = ",".join(f'"{b64encode(part).decode()}"' for part in self.buffers)
        line = b"".join(
            (
                f'{{"event":"message","seq":{seq},"channel":"{self.channel}",'.encode(),
                b'"msg_type":' + json.dumps(self.msg_type).encode(),
                b',"header":' + self.header,
                b',"parent_header":' + self.parent_header,
                b',"metadata":' + self.metadata,
                b',"content":' + self.content,
                f',"buffers":[{buffers}]}}'.encode(),
            )
        )
        return _one_line_of_text(line)


def _one_line_of_text(line: bytes) -> bytes:
    """UTF-8 on one line, whatever the worker sent: half a surrogate pair comes as a byte that is no text."""
    if not line.isascii():
        line = line.decode("utf-8", "replace").encode()
    return line.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n"
