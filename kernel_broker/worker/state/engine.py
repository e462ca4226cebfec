"""The state engine: takes a session's state after a cell, and brings it back in another process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kernel_broker.worker.state import codec, graph, manifest
from kernel_broker.worker.state.calm import Calm
from kernel_broker.worker.state.chunks import Chunks, Fetch, Sink
from kernel_broker.worker.state.delta import Delta, Pin
from kernel_broker.worker.state.libraries import versions
from kernel_broker.worker.state.namespace import Namespace
from kernel_broker.worker.state.pickling.live import LiveObjects
from kernel_broker.worker.state.pickling.losses import Loss, because, type_name
from kernel_broker.worker.state.providers.registry import Registry
from kernel_broker.worker.state.tombstone import pin_of

__all__ = ["Delta", "Pin", "StateEngine"]


@dataclass(frozen=True)
class _Snapshot:
    """What the store holds: digests of the entries, names of the chunks."""

    digests: dict[str, str] = field(default_factory=dict)
    chunks: frozenset[str] = frozenset()


class StateEngine:
    """The state of one shell. Made when the shell is pristine; called on the main thread, between cells."""

    def __init__(self, shell: Any, key: bytes) -> None:
        self._shell = shell
        self._key = key
        self._live = LiveObjects(shell)
        self._calm = Calm()
        self._registry = Registry(shell, self._calm)
        self._namespace = Namespace(shell, self._registry.history)
        self._writer = graph.GraphWriter(self._live, self._cell_of)
        self._committed = self._pending = _Snapshot()
        self._cells: dict[tuple[int, str], int | None] = {}

    def restore(self, entries: Mapping[str, bytes], fetch: Fetch) -> list[Pin]:
        """Bring a state back into the shell; returns what was lost.

        Raises `StateCorrupt` or `StateMismatch`, with nothing unpickled, if the state must be refused.
        """
        with self._calm:
            recorded = manifest.unseal(entries, self._key)
            stream, buffers = codec.decode(entries[codec.NAME], fetch, self._key)
            lost = self._registry.restore_entries(entries, late=False)
            loaded = graph.load(stream, buffers, self._live)
            lost += self._registry.restore_roots(loaded.values)
            self._namespace.restore(loaded.values)
            lost += self._registry.restore_entries(entries, late=True)
            chunks = frozenset(codec.names(entries[codec.NAME]))
            digests = recorded.entries | {manifest.NAME: _hex(entries[manifest.NAME])}
            self._committed = self._pending = _Snapshot(digests, chunks)
        return lost + [pin_of(tombstone) for tombstone in loaded.lost]

    def capture(self, sink: Sink) -> Delta:
        """The difference to the last acknowledged capture. Never raises: what fails is pinned."""
        with self._calm:
            try:
                return self._capture(sink)
            except Exception as error:
                self._pending = self._committed
                reason = f"the state after this cell was not saved: {because(error)}"
                pin = Pin("session", type_name(type(error)), reason, self._cell())
                return Delta(pinned=[pin], new_pins=[pin])

    def acknowledge(self) -> None:
        """The last capture was committed: from now on only what differs from it is handed over."""
        self._committed = self._pending

    def _capture(self, sink: Sink) -> Delta:
        roots = [*self._namespace.roots(), *self._registry.roots()]
        dumped = self._writer.dump(roots)
        chunks = Chunks(self._key, self._committed.chunks, sink)
        entries = {
            codec.NAME: codec.encode(dumped.stream, dumped.buffers, chunks),
            **self._registry.entries(),
        }
        digests = {name: manifest.digest(data, self._key, name).hex() for name, data in entries.items()}
        sealed = manifest.Manifest(digests, versions(dumped.modules)).seal(self._key)
        entries[manifest.NAME], digests[manifest.NAME] = sealed, _hex(sealed)
        before = self._committed
        self._pending = _Snapshot(digests, frozenset(chunks.names))
        pinned, new = self._pins(dumped.losses)
        return Delta(
            put={name: data for name, data in entries.items() if before.digests.get(name) != digests[name]},
            delete=[name for name in before.digests if name not in digests],
            add=chunks.new,
            drop=sorted(before.chunks - chunks.names),
            pinned=pinned,
            new_pins=new,
        )

    def _cell(self) -> int | None:
        return self._shell.execution_count - 1 or None

    def _cell_of(self, loss: Loss) -> int | None:
        """The cell that made a lost object: the one after which it was first seen."""
        return self._cells.get((loss.key, loss.name), self._cell())

    def _pins(self, losses: list[tuple[Loss, int | None]]) -> tuple[list[Pin], list[Pin]]:
        known, self._cells = self._cells, {(loss.key, loss.name): cell for loss, cell in losses}
        pinned, new = list(self._registry.failures), list(self._registry.failures)
        for loss, cell in losses:
            pin = Pin(loss.name, loss.type, loss.reason, cell)
            pinned.append(pin)
            if (loss.key, loss.name) not in known:
                new.append(pin)
        return pinned, new


def _hex(sealed: bytes) -> str:
    return sealed[:20].hex()
