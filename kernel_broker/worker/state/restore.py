"""Brings units back: streams to objects, definitions when something asks for them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kernel_broker.worker.state import graph, units
from kernel_broker.worker.state.ahead import Ahead
from kernel_broker.worker.state.chunks import Buffer, Fetch, broken
from kernel_broker.worker.state.damage import Damage, forget, give_up
from kernel_broker.worker.state.deferred import can_wait
from kernel_broker.worker.state.definitions import Definitions, is_definition, label_of, uid_in
from kernel_broker.worker.state.errors import ChunkLost
from kernel_broker.worker.state.loading import Blob, Source
from kernel_broker.worker.state.pickling.live import LiveObjects
from kernel_broker.worker.state.pickling.unpickler import Flow, Stream
from kernel_broker.worker.state.table import Table
from kernel_broker.worker.state.tombstone import Tombstone


class Restore:
    """The units of some entries, and the way to load them."""

    def __init__(
        self,
        entries: Mapping[str, bytes],
        fetch: Fetch,
        key: bytes,
        live: LiveObjects,
        definitions: Definitions,
        damage: Damage,
    ) -> None:
        """What cannot be loaded is noted in `damage`."""
        self._fetch, self._key, self._live, self._definitions = fetch, key, live, definitions
        self.table = Table()
        self._damage = damage
        self._flow: Flow | None = None
        """The stream that is read now, if some of it is still to come."""

        self._came: dict[str, Any] = {}
        """What was loaded so far: some of it when a definition was asked for that is stored with it."""

        self._units = list(self.table.pages.load(entries))
        self._stored: dict[str, units.Stored] = {}
        self._defined: list[str] = []
        self.table.begin([it.unit for it in self._units])
        for it in self._units:
            for label in it.unit.labels:
                self._stored[label] = it
                if is_definition(label):
                    self._defined.append(uid_in(label))
            for name, _, _, cell in it.shown:
                self.table.cells[f"v:{name}"] = cell
        self.waiting = {label for it in self._units if can_wait(it) for label in it.unit.labels}
        definitions.reserve(self._defined)

    def load_all(self) -> dict[str, Any]:
        """Every root by its label, but for those that can wait."""
        direct, self._fetch = self._fetch, (ahead := Ahead(self._fetch, self._expected()))
        try:
            return self._load_all()
        finally:
            ahead.close()
            self._fetch = direct
            self._live.forget()

    def _expected(self) -> list[str]:
        """The chunks that loading everything asks for, in about that order."""
        found = [it for it in self._units if it.unit.chunks and it.unit.labels[0] not in self.waiting]
        return [name for it in found for part in [it.stream, *it.buffers, *it.blobs] for name in part[1]]

    def _load_all(self) -> dict[str, Any]:
        for it in self._units:
            first, last = it.unit.labels[0], it.unit.labels[-1]
            if first in self._came or first in self.waiting or is_definition(last):
                continue
            self._came |= self._load_unit(it)
        for uid in self._defined:
            if uid not in self._definitions.made:
                self._came |= self._load_unit(self._stored[label_of(uid)])
        values, self._came = self._came, {}
        if any(type(made) is Tombstone for made in self._definitions.made.values()):
            kinds = {f"v:{name}": kind for it in self._units for name, kind, *_ in it.shown}
            forget(self._definitions, values, kinds)
        return values

    def load(self, label: str) -> dict[str, Any]:
        """The roots that are stored with one, later; tombstones, if the store has lost a part of them.

        Raises `StateUnavailable`.
        """
        try:
            return self._load_unit(self._stored[label])
        finally:
            self._live.forget()

    def _load_unit(self, stored: units.Stored) -> dict[str, Any]:
        try:
            values = self._load(stored)
        except ChunkLost as error:
            parts = [stored.stream, *stored.blobs, *stored.buffers]
            names = list(dict.fromkeys(name for part in parts for name in part[1]))
            self._damage.chunks.update(broken(names, self._fetch, self._key))
            values = self._damage.bury(stored, error.reason)
        if is_definition(stored.unit.labels[0]):
            give_up(self._definitions, values)
        return values

    def _load(self, stored: units.Stored) -> dict[str, Any]:
        blobs = [self._blob(*part) for part in stored.blobs]
        source = Source(self._live, blobs, self._definitions, self._define)
        try:
            loaded = graph.load(
                stored.unit.labels, lambda: self._stream(stored), lambda: self._buffers(stored), source
            )
        finally:
            if stored.stream[1]:
                self._let_go()
        if loaded.lost:
            self._damage.note(loaded.lost)
        return loaded.values

    def _stream(self, stored: units.Stored) -> Stream:
        """A short one whole; a long one comes while it is read, until something else is asked for."""
        if not stored.stream[1]:
            return stored.inline
        self._hold()
        self._flow = Flow(Blob(*stored.stream, self._fetch, self._key).pieces())
        return self._flow

    def _ask(self, names: Sequence[str]) -> Iterator[Buffer | None]:
        """A `Fetch` for what a stream refers to: one request at a time."""
        self._hold()
        return self._fetch(names)

    def _hold(self) -> None:
        flow, self._flow = self._flow, None
        if flow is not None:
            flow.hold()

    def _let_go(self) -> None:
        flow, self._flow = self._flow, None
        if flow is not None:
            flow.close()

    def _define(self, uid: str) -> None:
        """Load a definition, which registers itself; of one that fails, the tombstone."""
        values = self._load_unit(self._stored[label_of(uid)])
        self._came |= values
        if uid not in self._definitions.made:
            self._definitions.register(uid, values[label_of(uid)])

    def _buffers(self, stored: units.Stored) -> Iterator[bytearray]:
        return (self._blob(*part).read() for part in stored.buffers)

    def _blob(self, size: int, names: list[str]) -> Blob:
        return Blob(size, names, self._ask, self._key)
