"""Large bytes in pieces, named by their keyed content: an unchanged piece is not sent again."""

import hashlib
from collections.abc import Callable, Collection, Sequence

from kernel_broker.worker.state.errors import StateCorrupt

CHUNK = 2**20
"""Largest piece, in bytes."""

BATCH = 64
"""Pieces asked for at once: few round trips, and not the whole state twice in memory."""

Buffer = bytes | bytearray | memoryview
Fetch = Callable[[Collection[str]], dict[str, bytes]]


def name_of(data: Buffer, key: bytes) -> str:
    """The name of a piece: only who holds the session's key can make bytes that fit it."""
    return hashlib.blake2b(data, digest_size=20, key=key).hexdigest()


class Chunks:
    """The pieces of one state: those written so far, and how to name them."""

    def __init__(self, key: bytes, known: Collection[str]) -> None:
        self._key = key
        self._known = known
        self.names: set[str] = set()
        self.new: dict[str, bytes] = {}

    def cut(self, data: Buffer) -> list[str]:
        """Names of the pieces of `data`; the bytes of unknown ones are kept in `new`."""
        view = memoryview(data).cast("B")
        names = []
        for start in range(0, len(view), CHUNK):
            piece = view[start : start + CHUNK]
            name = name_of(piece, self._key)
            if name not in self._known and name not in self.new:
                self.new[name] = bytes(piece)
            names.append(name)
        self.names.update(names)
        return names


def join(parts: Sequence[Sequence[str]], fetch: Fetch, key: bytes) -> list[bytearray]:
    """The bytes that were cut into each list of names, every piece verified against its name."""
    joined = [bytearray() for _ in parts]
    wanted = [(number, name) for number, names in enumerate(parts) for name in names]
    for start in range(0, len(wanted), BATCH):
        batch = wanted[start : start + BATCH]
        found = fetch(list(dict.fromkeys(name for _, name in batch)))
        for name, piece in found.items():
            if name_of(piece, key) != name:
                raise StateCorrupt(f"chunk {name} of the state is damaged or was not written by this session")
        for number, name in batch:
            if name not in found:
                raise StateCorrupt(f"chunk {name} of the state is missing from the store")
            joined[number] += found[name]
    return joined
