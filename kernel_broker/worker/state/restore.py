"""Brings units back: streams to objects, definitions when something asks for them."""

from collections.abc import Iterator, Mapping
from typing import Any

from kernel_broker.worker.state import graph, units
from kernel_broker.worker.state.ahead import Ahead
from kernel_broker.worker.state.chunks import Fetch, broken
from kernel_broker.worker.state.damage import Damage, forget, give_up
from kernel_broker.worker.state.deferred import can_wait
from kernel_broker.worker.state.definitions import Definitions, is_definition, label_of, uid_in
from kernel_broker.worker.state.errors import ChunkLost
from kernel_broker.worker.state.loading import Blob, Source
from kernel_broker.worker.state.pickling.live import LiveObjects
from kernel_broker.worker.state.table import Table


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
        self._came: dict[str, Any] = {}
        """What was loaded so far: some of it when a definition was asked for that is stored with it."""

        stored = list(self.table.pages.load(entries))
        self.table.replace((), [it.unit for it in stored])
        self._stored = {label: it for it in stored for label in it.unit.labels}
        self.table.cells = {f"v:{name}": cell for it in stored for name, *_, cell in it.shown}
        self.waiting = {label for label, it in self._stored.items() if can_wait(it)}
        definitions.reserve(uid_in(label) for label in self._stored if is_definition(label))

    def load_all(self) -> dict[str, Any]:
        """Every root by its label, but for those that can wait."""
        direct, self._fetch = self._fetch, (ahead := Ahead(self._fetch, self._expected()))
        try:
            return self._load_all()
        finally:
            ahead.close()
            self._fetch = direct

    def _expected(self) -> list[str]:
        """The chunks that loading everything asks for, in about that order."""
        found = {id(it): it for label, it in self._stored.items() if label not in self.waiting}.values()
        return [name for it in found for part in [it.stream, *it.buffers, *it.blobs] for name in part[1]]

    def _load_all(self) -> dict[str, Any]:
        for label in self._stored:
            if label not in self._came and label not in self.waiting and not is_definition(label):
                self._came |= self.load(label)
        for label in self._stored:
            uid = uid_in(label)
            if is_definition(label) and uid not in self._definitions.made:
                self._came |= self.load(label)
        values, self._came = self._came, {}
        kinds = {f"v:{name}": kind for it in self._stored.values() for name, kind, *_ in it.shown}
        forget(self._definitions, values, kinds)
        return values

    def load(self, label: str) -> dict[str, Any]:
        """The roots that are stored with one; tombstones, if the store has lost a part of them.

        Raises `StateUnavailable`.
        """
        stored = self._stored[label]
        try:
            values = self._load(stored)
        except ChunkLost as error:
            parts = [stored.stream, *stored.blobs, *stored.buffers]
            names = list(dict.fromkeys(name for part in parts for name in part[1]))
            self._damage.chunks.update(broken(names, self._fetch, self._key))
            values = self._damage.bury(stored, error.reason)
        give_up(self._definitions, values)
        return values

    def _load(self, stored: units.Stored) -> dict[str, Any]:
        size, names = stored.stream
        stream = self._blob(size, names).read() if names else stored.inline
        blobs = [self._blob(*part) for part in stored.blobs]
        source = Source(self._live, blobs, self._definitions, self._define)
        loaded = graph.load(stored.unit.labels, stream, lambda: self._buffers(stored), source)
        self._damage.note(loaded.lost)
        return loaded.values

    def _define(self, uid: str) -> None:
        """Load a definition, which registers itself; of one that fails, the tombstone."""
        values = self.load(label_of(uid))
        self._came |= values
        if uid not in self._definitions.made:
            self._definitions.register(uid, values[label_of(uid)])

    def _buffers(self, stored: units.Stored) -> Iterator[bytearray]:
        return (self._blob(*part).read() for part in stored.buffers)

    def _blob(self, size: int, names: list[str]) -> Blob:
        return Blob(size, names, self._fetch, self._key)
