"""Large bytes in pieces, named by their keyed content: an unchanged piece is not sent again."""

from collections.abc import Callable, Collection, Generator, Iterator, Sequence

from blake3 import blake3

from kernel_broker.worker.state.errors import StateCorrupt

CHUNK = 2**20
"""Largest piece, in bytes."""

STREAM_CHUNK = 2**17
"""Pieces of streams are smaller: an edit of a list or a dict changes some bytes among many."""

Buffer = bytes | bytearray | memoryview
Fetch = Callable[[Sequence[str]], Iterator[Buffer | None]]
"""Asks for pieces by name; one after the other comes in that order, None for a missing one.

A piece is valid until the next one is asked for.
"""

Sink = Callable[[str, Buffer], None]
"""Takes a new piece: the name, and the bytes, which are valid only during the call."""


_NAME_BYTES = 20


def name_of(data: Buffer, key: bytes) -> str:
    """The name of a piece: only who holds the session's key can make bytes that fit it."""
    return blake3(data, key=key).hexdigest(_NAME_BYTES)


class Chunks:
    """The pieces of one state: their names, and where the new ones go."""

    def __init__(self, key: bytes, known: Collection[str], sink: Sink) -> None:
        self._key = key
        self._known = known
        self._sink = sink
        self.names: set[str] = set()
        self.new: list[str] = []

    def cut(self, data: Buffer, size: int = CHUNK) -> list[str]:
        """Names of the pieces of `data`; unknown ones go to the sink."""
        view = memoryview(data).cast("B")
        names = []
        for start in range(0, len(view), size):
            piece = view[start : start + size]
            name = name_of(piece, self._key)
            if name not in self._known and name not in self.names:
                self._sink(name, piece)
                self.new.append(name)
            self.names.add(name)
            names.append(name)
        return names

    def hold(self, names: Collection[str]) -> bool:
        """Go on referring to chunks that are not cut again; False if the store may not have one of them."""
        if not all(name in self._known for name in names):
            return False
        self.names.update(names)
        return True


def fill(target: memoryview, names: Sequence[str], fetch: Fetch, key: bytes) -> None:
    """Put the bytes that were cut into `names` where they belong, every piece verified against its name."""
    place = 0
    pieces = fetch(names)
    try:
        for name, piece in zip(names, pieces, strict=True):
            if piece is None:
                raise StateCorrupt(f"chunk {name} of the state is missing from the store")
            if name_of(piece, key) != name:
                raise StateCorrupt(f"chunk {name} of the state is damaged or was not written by this session")
            target[place : place + len(piece)] = piece
            place += len(piece)
    finally:
        if isinstance(pieces, Generator):
            pieces.close()  # now, not when the error is forgotten
    if place != len(target):
        raise StateCorrupt("a part of the state has not the size that was recorded")
