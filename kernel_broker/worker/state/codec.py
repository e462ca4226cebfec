"""The graph's entry: where its stream and buffers are, and the stream itself if it is small."""

import json
import pickle
from collections.abc import Sequence

from kernel_broker.worker.state.chunks import Chunks, Fetch, join

NAME = "graph"
INLINE = 32 * 1024
"""Streams up to this size are in the entry; larger ones are cut in chunks."""


def encode(stream: memoryview, buffers: Sequence[pickle.PickleBuffer], chunks: Chunks) -> bytes:
    """The entry; its large parts go to `chunks`."""
    small = len(stream) <= INLINE
    header = {
        "stream": [] if small else chunks.cut(stream),
        "buffers": [chunks.cut(buffer.raw()) for buffer in buffers],
    }
    head = json.dumps(header, separators=(",", ":")).encode()
    return len(head).to_bytes(4, "big") + head + (bytes(stream) if small else b"")


def names(entry: bytes) -> set[str]:
    """The chunks that an entry refers to."""
    header, _ = _split(entry)
    return {name for part in [header["stream"], *header["buffers"]] for name in part}


def decode(entry: bytes, fetch: Fetch, key: bytes) -> tuple[bytes | bytearray, list[bytearray]]:
    """Stream and buffers again, every chunk verified."""
    header, inline = _split(entry)
    stream, *buffers = join([header["stream"], *header["buffers"]], fetch, key)
    return stream or inline, buffers


def _split(entry: bytes) -> tuple[dict[str, list], bytes]:
    end = 4 + int.from_bytes(entry[:4], "big")
    return json.loads(entry[4:end]), entry[end:]
