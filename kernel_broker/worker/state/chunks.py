"""Large bytes in pieces, named by their keyed content: an unchanged piece is not sent again."""

from collections.abc import Callable, Collection, Generator, Iterator, Sequence

from blake3 import blake3

from kernel_broker.worker.state.errors import ChunkLost, GivenUp, StateCorrupt

CHUNK = 2**20
"""Largest piece, in bytes."""

STREAM_CHUNK = 2**17
"""Pieces of streams are smaller: an edit of a list or a dict changes some bytes among many."""

Buffer = bytes | bytearray | memoryview
Fetch = Callable[[Sequence[str]], Iterator[Buffer | None]]
"""Asks for pieces by name; one after the other comes in that order, None for a missing one.

A piece is valid until the next one is asked for.
"""

Stop = Callable[[], bool]
"""Whether what is under way should be given up."""


def never() -> bool:
    """It should not."""
    return False


Sink = Callable[[str, Buffer], None]
"""Takes a new piece: the name, and the bytes, which are valid only during the call."""


_NAME_BYTES = 20


def name_of(data: Buffer, key: bytes) -> str:
    """The name of a piece: only who holds the session's key can make bytes that fit it."""
    return blake3(data, key=key).hexdigest(_NAME_BYTES)


def is_whole(piece: Buffer | None, name: str, key: bytes) -> bool:
    """Whether it is the piece of that name."""
    return piece is not None and name_of(piece, key) == name


def verified(piece: Buffer | None, name: str, key: bytes) -> Buffer:
    """The piece, if it is the one of that name; raises `ChunkLost`."""
    if piece is None or not is_whole(piece, name, key):
        raise ChunkLost(name, missing=piece is None)
    return piece


def broken(names: Sequence[str], fetch: Fetch, key: bytes) -> list[str]:
    """Those of some pieces that the store has lost, or has not got as they were written."""
    found = zip(names, fetch(names), strict=True)
    return [name for name, piece in found if not is_whole(piece, name, key)]


class Chunks:
    """The pieces of one state: their names, and where the new ones go.

    The store has those that are `known`, but for some that it is known to have lost.
    """

    def __init__(
        self, key: bytes, known: Collection[str], sink: Sink, lost: Collection[str] = frozenset()
    ) -> None:
        self._key = key
        self._known = known
        self._lost = lost
        self.stop: Stop = never
        """Asked before each piece: `cut` raises `GivenUp` if it says so."""
        self._sink = sink
        self.names: set[str] = set()
        self.new: list[str] = []

    def cut(self, data: Buffer, size: int = CHUNK) -> list[str]:
        """Names of the pieces of `data`; unknown ones go to the sink."""
        view = memoryview(data).cast("B")
        names = []
        for start in range(0, len(view), size):
            if self.stop():
                raise GivenUp
            piece = view[start : start + size]
            name = name_of(piece, self._key)
            if self._is_new(name):
                self._sink(name, piece)
                self.new.append(name)
            self.names.add(name)
            names.append(name)
        return names

    def _is_new(self, name: str) -> bool:
        if name in self._lost:
            return name not in self.new
        return name not in self._known and name not in self.names

    def hold(self, names: Collection[str]) -> bool:
        """Go on referring to chunks that are not cut again; False if the store may not have one of them."""
        if not all(name in self._known for name in names):
            return False
        self.names.update(names)
        return True


def pieces(size: int, names: Sequence[str], fetch: Fetch, key: bytes) -> Generator[Buffer, None, None]:
    """The bytes that were cut into `names`, piece by piece, each verified against its name."""
    place = 0
    coming = fetch(names)
    try:
        for name, piece in zip(names, coming, strict=True):
            data = verified(piece, name, key)
            place += len(data)
            if place > size:
                break
            yield data
    finally:
        if isinstance(coming, Generator):
            coming.close()  # now, not when the error is forgotten
    if place != size:
        raise StateCorrupt("a part of the state has not the size that was recorded")
