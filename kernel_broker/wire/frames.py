"""Frames on the socket between broker and zygote or worker: a JSON head and raw byte parts.

Layout, big endian: magic `SIK1`, u32 head length, u32 number of parts, u64 length of each part,
then the head (a JSON object whose `kind` names the frame) and the parts. No I/O here: feed bytes,
take frames (the shape of h11).
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from kernel_broker.wire.text import from_json, to_json

MAGIC = b"SIK1"
_PREFIX = struct.Struct("!4sII")
_LENGTH = struct.Struct("!Q")

MAX_HEAD = 16 * 2**20
MAX_PARTS = 4096
MAX_PARTS_SIZE = 2**30
"""Of all parts of a frame together: what its reader may have to hold."""


class FrameError(ValueError):
    """The peer sent bytes that are no frame; the connection cannot be trusted further."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. `head` holds small JSON values, `parts` opaque bytes."""

    kind: str
    head: dict[str, Any] = field(default_factory=dict)
    parts: Sequence[bytes] = ()


def encode(frame: Frame) -> list[bytes]:
    """The frame as buffers to write in order (parts are not copied)."""
    head = to_json({**frame.head, "kind": frame.kind}).encode()
    lengths = b"".join(_LENGTH.pack(len(part)) for part in frame.parts)
    return [_PREFIX.pack(MAGIC, len(head), len(frame.parts)) + lengths + head, *frame.parts]


class FrameDecoder:
    """Turns a byte stream into frames: `feed` bytes, then iterate over the complete ones."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add bytes as they came from the socket."""
        self._buffer += data

    @property
    def pending(self) -> int:
        """Bytes held that do not make a whole frame yet."""
        return len(self._buffer)

    def __iter__(self) -> Iterator[Frame]:
        """The complete frames received so far; raises `FrameError` on bytes that are none."""
        while (frame := self._take()) is not None:
            yield frame

    def _take(self) -> Frame | None:
        if len(self._buffer) < _PREFIX.size:
            return None
        magic, head_length, count = _PREFIX.unpack_from(self._buffer)
        if magic != MAGIC or head_length > MAX_HEAD or count > MAX_PARTS:
            raise FrameError("bad frame prefix")
        start = _PREFIX.size + count * _LENGTH.size
        if len(self._buffer) < start:
            return None
        lengths = [
            _LENGTH.unpack_from(self._buffer, _PREFIX.size + i * _LENGTH.size)[0] for i in range(count)
        ]
        if sum(lengths) > MAX_PARTS_SIZE:
            raise FrameError("frame too large")
        if len(self._buffer) < start + head_length + sum(lengths):
            return None
        return self._cut(start, head_length, lengths)

    def _cut(self, start: int, head_length: int, lengths: list[int]) -> Frame:
        ends = [start + head_length]
        for length in lengths:
            ends.append(ends[-1] + length)
        with memoryview(self._buffer) as view:
            raw_head = bytes(view[start : ends[0]])
            parts = tuple(bytes(view[a:b]) for a, b in pairwise(ends))
        del self._buffer[: ends[-1]]
        return Frame(*_read_head(raw_head), parts)


def _read_head(raw: bytes) -> tuple[str, dict[str, Any]]:
    try:
        head = from_json(raw)
    except ValueError as error:
        raise FrameError("frame head is not JSON") from error
    except RecursionError as error:
        raise FrameError("frame head is nested too deeply") from error
    if not isinstance(head, dict) or not isinstance(head.get("kind"), str):
        raise FrameError("frame head names no kind")
    return head.pop("kind"), head
