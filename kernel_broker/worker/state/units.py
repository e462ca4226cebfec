"""Units of state: variables that share objects, stored together; and how units are packed into entries.

A unit is a record of `wire.records`: its header names the variables, their types and sizes, and the chunks
that hold what is large.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kernel_broker.wire.records import PREFIX, join_page, join_record, read_page
from kernel_broker.worker.state.chunks import STREAM_CHUNK, Chunks
from kernel_broker.worker.state.graph import Dumped
from kernel_broker.worker.state.pickling.losses import Loss
from kernel_broker.worker.state.reach import NOWHERE, Reach

INLINE = 8 * 1024
"""Streams up to this size are in the record; larger ones are cut in chunks."""

PAGE = 8 * 1024
"""Bytes to a page of records."""


class Unit(NamedTuple):
    """Some roots and all that they share, as committed."""

    labels: tuple[str, ...]
    record: bytes
    chunks: frozenset[str] = frozenset()
    used: frozenset[str] = frozenset()
    reach: Reach = NOWHERE
    losses: tuple[tuple[Loss, int | None], ...] = ()
    modules: frozenset[str] = frozenset()
    size: int = 0
    atoms: bool = False
    """Whether all in it are small immutable values."""
    packed: bool = False
    """Whether nothing in it is shared: it is together because it is small."""

    @property
    def anything(self) -> bool:
        """Whether touching it may touch whatever there is: it holds something that cannot be looked into."""
        return self.reach.anything or bool(self.losses)


def encode(
    labels: Sequence[str],
    shown: Sequence[Any],
    dumped: Dumped,
    chunks: Chunks,
    atoms: bool = False,
    packed: bool = False,
) -> Unit:
    """A unit from its dump; what is large goes to `chunks`."""
    small = len(dumped.stream) <= INLINE
    stream = [] if small else chunks.cut(dumped.stream, STREAM_CHUNK)
    blobs = [(len(memory), chunks.cut(memory)) for memory in dumped.blobs]
    buffers = [(it.raw().nbytes, chunks.cut(it.raw())) for it in dumped.buffers]
    reach = dumped.reach
    losses = [[loss.name, loss.type, loss.reason, cell] for loss, cell in dumped.losses]
    header = {
        "labels": labels,
        "variables": shown,
        "size": dumped.size,
        "stream": (len(dumped.stream), stream),
        "blobs": blobs,
        "buffers": buffers,
        "used": sorted(dumped.used),
        "reach": sorted(reach.names),
        "anything": reach.anything,
        "atoms": atoms,
        "packed": packed,
        "lost": losses,
        "modules": sorted(dumped.modules),
    }
    record = join_record(header, dumped.stream if small else b"")
    names = frozenset(name for _, part in [(0, stream), *blobs, *buffers] for name in part)
    return Unit(
        tuple(labels),
        record,
        names,
        frozenset(dumped.used),
        reach,
        tuple(dumped.losses),
        frozenset(dumped.modules),
        dumped.size,
        atoms,
        packed,
    )


class Stored(NamedTuple):
    """A record that was read: the unit, and where its bytes are."""

    unit: Unit
    inline: bytes
    stream: tuple[int, list[str]]
    blobs: Sequence[tuple[int, list[str]]]
    buffers: Sequence[tuple[int, list[str]]]
    shown: Sequence[tuple[str, str, str, int | None]]
    """Of each variable in it: name, type, preview, and the cell that made it."""


_NO_STREAM: tuple[int, list[str]] = (0, [])
_NONE: frozenset[str] = frozenset()


def decode(record: bytes, head: Mapping[str, Any], inline: bytes) -> Stored:
    """The unit of a record with that header and stream."""
    get = head.get
    size, stream = get("stream", _NO_STREAM)
    blobs, buffers = get("blobs", ()), get("buffers", ())
    names = _NONE
    if stream or blobs or buffers:
        names = frozenset(stream).union(*(part for _, part in (*blobs, *buffers)))
    reach, anything = get("reach"), get("anything", False)
    unit = Unit(
        tuple(head["labels"]),
        record,
        names,
        frozenset(used) if (used := get("used")) else _NONE,
        Reach(frozenset(reach or ()), anything) if reach or anything else NOWHERE,
        (),  # what was lost is a tombstone by now, and travels
        frozenset(modules) if (modules := get("modules")) else _NONE,
        get("size", 0),
        get("atoms", False),
        get("packed", False),
    )
    return Stored(unit, inline, (size, stream), blobs, buffers, get("variables", ()))


class Pages:
    """Which record is on which page."""

    def __init__(self) -> None:
        self._records: dict[str, dict[tuple[str, ...], bytes]] = {}
        self._home: dict[tuple[str, ...], str] = {}
        self._sizes: dict[str, int] = {}
        self._open: str | None = None
        self._next = 0

    def copy(self) -> "Pages":
        """A copy that can be changed while this one stays."""
        other = Pages()
        other._records = dict(self._records)
        other._home, other._sizes = dict(self._home), dict(self._sizes)
        other._open, other._next = self._open, self._next
        return other

    def load(self, entries: Mapping[str, bytes]) -> Iterator[Stored]:
        """Take the pages among some entries; yields what their records say."""
        for name, data in entries.items():
            if not name.startswith(PREFIX):
                continue
            self._next = max(self._next, int(name.removeprefix(PREFIX)) + 1)
            page: dict[tuple[str, ...], bytes] = {}
            for record, head, inline in read_page(data):
                stored = decode(record, head, inline)
                labels = stored.unit.labels
                page[labels] = record
                self._home[labels] = name
                yield stored
            self._records[name] = page
            self._sizes[name] = len(data)

    def change(self, gone: Sequence[Unit], come: Sequence[Unit]) -> tuple[dict[str, bytes], list[str]]:
        """Replace some units by others; the entries to put, and those to delete."""
        dirty: set[str] = set()
        free = dict.fromkeys(unit.labels for unit in gone)
        for labels in free:
            name = self._home.pop(labels)
            self._fresh(name, dirty)
            self._sizes[name] -= len(self._records[name].pop(labels)) + 4
            free[labels] = name
        for unit in come:
            name = free.get(unit.labels) or self._room()
            self._fresh(name, dirty)
            self._records[name][unit.labels] = unit.record
            self._sizes[name] += len(unit.record) + 4
            self._home[unit.labels] = name
        put, delete = {}, []
        for name in dirty:
            if self._records[name]:
                put[name] = join_page(self._records[name].values())
            else:
                del self._records[name], self._sizes[name]
                self._open = None if self._open == name else self._open
                delete.append(name)
        return put, delete

    def _fresh(self, name: str, dirty: set[str]) -> None:
        """Make a page one's own before it is changed."""
        if name not in dirty:
            dirty.add(name)
            self._records[name] = dict(self._records.get(name, {}))

    def _room(self) -> str:
        """The page for a new record."""
        if self._open is None or self._sizes.get(self._open, 0) >= PAGE:
            self._open = f"{PREFIX}{self._next}"
            self._next += 1
            self._sizes[self._open] = 0
            self._records[self._open] = {}
        return self._open
