"""What rebuilding an object may ask for while a state is loaded: definitions, large buffers, live objects."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kernel_broker.worker.state.chunks import Fetch, fill
from kernel_broker.worker.state.definitions import Definitions
from kernel_broker.worker.state.pickling.live import LiveObjects


@dataclass(frozen=True)
class Blob:
    """Bytes that were stored apart from a stream."""

    size: int
    names: Sequence[str]
    fetch: Fetch
    key: bytes

    def read_into(self, target: memoryview) -> None:
        """Put the bytes into memory of the right size; raises `StateCorrupt`."""
        fill(target, self.names, self.fetch, self.key)

    def read(self) -> bytearray:
        """The bytes."""
        data = bytearray(self.size)
        self.read_into(memoryview(data))
        return data


@dataclass(frozen=True)
class Source:
    """Where the stream that is loaded now gets what it refers to."""

    live: LiveObjects
    blobs: Sequence[Blob]
    definitions: Definitions
    load: Callable[[str], None]
    """Load the definition of an identifier, and register it."""

    endings: list[Callable[[], None]] = field(default_factory=list)
    """What remains to be done when all of the stream is loaded."""


_sources: list[Source] = []


@contextmanager
def reading(source: Source) -> Iterator[None]:
    """Answer the functions below from `source` for the block; blocks may be nested."""
    _sources.append(source)
    try:
        yield
        for ending in source.endings:
            ending()
    finally:
        _sources.pop()


def blob(number: int) -> Blob:
    """A buffer of the stream that is loaded now."""
    return _sources[-1].blobs[number]


def at_end(ending: Callable[[], None]) -> None:
    """Have something done when the stream that is loaded now has been."""
    _sources[-1].endings.append(ending)


def live_object(number: int) -> Any:
    """An object of this process."""
    return _sources[-1].live.find(number)


def definition(uid: str) -> Any:
    """A class or function that is stored under its own identifier."""
    source = _sources[-1]
    if uid not in source.definitions.made:
        source.load(uid)
    return source.definitions.made[uid]


def born(uid: str | None, make: Callable[[], Any]) -> Any:
    """The definition of that identifier: the one that exists, else a new one."""
    made = _sources[-1].definitions
    if uid is None:
        return make()
    if uid not in made.made:
        found = make()
        if uid not in made.made:
            made.register(uid, found)
    return made.made[uid]
