"""What rebuilding an object may ask for while a state is loaded: definitions, large buffers, live objects."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kernel_broker.worker.state.chunks import Buffer, Fetch, pieces
from kernel_broker.worker.state.definitions import Definitions
from kernel_broker.worker.state.pickling.live import LiveObjects


@dataclass(frozen=True)
class Blob:
    """Bytes that were stored apart from a stream."""

    size: int
    names: Sequence[str]
    fetch: Fetch
    key: bytes

    def pieces(self) -> Generator[Buffer, None, None]:
        """The bytes, piece by piece, each valid until the next one is asked for; raises `StateCorrupt`."""
        return pieces(self.size, self.names, self.fetch, self.key)

    def read_into(self, target: memoryview) -> None:
        """Put the bytes into memory of the right size; raises `StateCorrupt`."""
        place = 0
        for piece in self.pieces():
            target[place : place + len(piece)] = piece
            place += len(piece)

    def read(self) -> bytearray:
        """The bytes."""
        data = bytearray()
        for piece in self.pieces():
            data += piece  # memory that is made at once would first be filled with zeros
        return data


@dataclass(slots=True)
class Source:
    """Where the stream that is loaded now gets what it refers to."""

    live: LiveObjects
    blobs: Sequence[Blob]
    definitions: Definitions
    load: Callable[[str], None]
    """Load the definition of an identifier, and register it."""

    endings: list[Callable[[], None]] = field(default_factory=list)
    """What remains to be done when all of the stream is loaded."""


sources: list[Source] = []
"""Of the streams that are loaded now, the innermost last: it answers the functions below."""


def blob(number: int) -> Blob:
    """A buffer of the stream that is loaded now."""
    return sources[-1].blobs[number]


def at_end(ending: Callable[[], None]) -> None:
    """Have something done when the stream that is loaded now has been."""
    sources[-1].endings.append(ending)


def live_object(number: int) -> Any:
    """An object of this process."""
    return sources[-1].live.find(number)


def definition(uid: str) -> Any:
    """A class or function that is stored under its own identifier."""
    source = sources[-1]
    if uid not in source.definitions.made:
        source.load(uid)
    return source.definitions.made[uid]


def born(uid: str | None, make: Callable[[], Any]) -> Any:
    """The definition of that identifier: the one that exists, else a new one."""
    if uid is None:
        return make()
    definitions = sources[-1].definitions
    made = definitions.made
    if uid not in made:
        found = make()
        if uid not in made:
            definitions.register(uid, found)
    return made[uid]
