"""The state engine: takes a session's state after a cell, and brings it back in another process."""

import types
from collections.abc import Iterable, Mapping
from typing import Any

from kernel_broker.wire.records import PREFIX as RECORDS
from kernel_broker.worker.files.working import WorkingFiles
from kernel_broker.worker.state import graph, manifest
from kernel_broker.worker.state.calm import Calm
from kernel_broker.worker.state.capture import Capture
from kernel_broker.worker.state.chunks import Chunks, Fetch, Sink, Stop, never
from kernel_broker.worker.state.damage import Damage
from kernel_broker.worker.state.deferred import Deferred
from kernel_broker.worker.state.definitions import Definitions, uid_in
from kernel_broker.worker.state.delta import Delta, Pin
from kernel_broker.worker.state.errors import GivenUp, TooLarge
from kernel_broker.worker.state.holders import Holders
from kernel_broker.worker.state.libraries import versions
from kernel_broker.worker.state.namespace import Namespace, name_of
from kernel_broker.worker.state.pickling.live import LiveObjects
from kernel_broker.worker.state.pickling.losses import because, type_name
from kernel_broker.worker.state.pinned import Pinned
from kernel_broker.worker.state.present import Present, held
from kernel_broker.worker.state.providers.registry import COLLECTED, Registry
from kernel_broker.worker.state.recompute.maker import Maker
from kernel_broker.worker.state.restore import Restore
from kernel_broker.worker.state.table import Table, may_leave_unused, without
from kernel_broker.worker.state.watch import Watch

__all__ = ["Delta", "Pin", "StateEngine"]


class StateEngine:
    """The state of one shell. Made when the shell is pristine; called on the main thread, between cells.

    `limit` is the most that the state may hold, in bytes; 0 for no limit. `files` are the session's working
    files, if they are part of its state.
    """

    def __init__(self, shell: Any, key: bytes, limit: int = 0, files: WorkingFiles | None = None) -> None:
        self._files = files
        self._shell = shell
        self._key = key
        self._limit = limit
        self._live = LiveObjects(shell)
        self._calm = Calm()
        self._registry = Registry(shell, self._calm)
        self._namespace = Namespace(shell, self._registry.history)
        self._definitions = Definitions(shell.user_ns)
        self._pinned = Pinned(self._cell)
        self._writer = graph.GraphWriter(self._live, self._definitions, self._pinned.cell_of)
        self._committed = self._pending = Table()
        self._holders = Holders(shell, self._live)
        self._restless = False
        self._damage = Damage()
        self._sent: list[str] = []
        self._file_entries: dict[str, bytes] = {}
        self._deferred = Deferred(shell.user_ns, lambda _: {}, Table)
        self.watch = Watch(shell)
        self.watch.before = self._before
        self.watch.before_text = self.require
        self._maker = Maker(shell, self, self._registry.recomputing, self._writer, self._definitions)

    def restore(self, entries: Mapping[str, bytes], fetch: Fetch) -> list[Pin]:
        """Bring a state back into the shell; returns what was lost.

        Raises `StateCorrupt` or `StateMismatch`, with nothing unpickled, if the state must be refused.
        """
        with self._calm, self._definitions.held():
            recorded = manifest.unseal(entries, self._key)
            damage = self._damage
            restore = Restore(entries, fetch, self._key, self._live, self._definitions, damage)
            lost = self.restore_files(entries, fetch)
            lost += self._registry.restore_entries(entries, late=False)
            values = restore.load_all()
            self._deferred = Deferred(
                self._shell.user_ns, restore.load, lambda: self._committed, damage.labels
            )
            values |= self._deferred.adopt(restore.waiting)
            self._namespace.restore_results(values)
            lost += self._registry.restore_roots(values)
            self._namespace.restore(values)
            lost += self._registry.restore_entries(entries, late=True)
            table = restore.table
            table.entries = {
                name: bytes(data)
                for name, data in entries.items()
                if name != manifest.NAME and not name.startswith(RECORDS)
            }
            table.digests = recorded.entries | {manifest.NAME: _tag(entries[manifest.NAME])}
            if self._files is not None:
                table.refer(self._files.names(entries))
            self._know(table, damage)
            table.meant = self._definitions.among(values)
            self._committed = self._pending = table
            self.watch.clear()
            damage.note(lost)
        return damage.pins

    def restore_files(self, entries: Mapping[str, bytes], fetch: Fetch) -> list[Pin]:
        """Bring back the working files alone; returns what was lost. Raises `StateError`."""
        if self._files is None:
            return []
        lost = self._files.restore(entries, fetch, self._key)
        self._damage.chunks |= self._files.lost_chunks
        return list(lost)

    def _know(self, table: Table, damage: Damage) -> None:
        """Note what the labels stand for in this process; 0 is no object."""
        now = self._namespace.values()
        table.ids = {label: id(value) for label, value in now.items()}
        table.ids |= dict.fromkeys((label for label in table.units if label.startswith(COLLECTED)), 0)
        if damage.labels:
            table.ids |= dict.fromkeys(now.keys() & damage.labels, 0)
        table.atoms = {label: held(now.get(label)) for label, it in table.units.items() if it.atoms}

    def require(self, words: Iterable[str] | None = None) -> None:
        """Load the variables among some words, all if none are given. Raises `StateError`."""
        with self._calm:
            if words is None or self._pending is not self._committed:
                self._deferred.load(None)
            else:
                self._deferred.before_text(words)

    def prepare(self) -> None:
        """Load what may run before or after any cell. Raises `StateError`."""
        if self._deferred.labels():
            with self._calm:
                self._deferred.before_request(self._registry.reaching(unasked=True))

    def _before(self, code: types.CodeType) -> None:
        """Load what code that is about to run may reach."""
        if not self._deferred.labels():
            return
        with self._calm:
            if self._pending is not self._committed:
                self._deferred.load(None)
            else:
                self._deferred.before(code, self._registry.reaching(unasked=True))

    def capture(self, sink: Sink, everything: bool = False, stop: Stop = never) -> Delta:
        """The difference to the last acknowledged capture. Never raises: what fails is pinned.

        With `everything`, all is looked at again, now and the next time (a thread that runs now may have
        ended by then); else what the code that ran could reach. `stop` is asked now and then whether to raise
        `GivenUp`, with all as it was.
        """
        before = self._pending, self._restless
        with self._calm:
            try:
                with self._definitions.held(), self._writer.series(stop):
                    return self._capture(sink, everything, stop)
            except GivenUp:
                self._pending, self._restless = before
                raise
            except TooLarge as error:
                return self._refuse(error)
            except Exception as error:
                self._pending = Table()
                reason = f"the state after this cell was not saved: {because(error)}"
                pin = Pin("session", type_name(type(error)), reason, self._cell())
                return Delta(pinned=[pin], new_pins=[pin], failed=True)

    def told(self) -> None:
        """The user has heard of what was lost."""
        self._damage.tell()

    def verify(self, sink: Sink, stop: Stop = never) -> Delta:
        """The same as `capture` of everything: finds changes that nothing gave a hint of."""
        delta = self.capture(sink, True, stop)
        self._restless = False
        return delta

    def acknowledge(self) -> None:
        """The last capture was committed: from now on only what differs from it is handed over."""
        self._committed = self._pending
        self._damage.settle(self._sent, self._committed.chunks)
        self.watch.clear()

    @property
    def lost_chunks(self) -> set[str]:
        """Chunks of the committed state that the store has lost, as far as that was noticed."""
        return self._damage.chunks

    @property
    def settled(self) -> Table | None:
        """What is committed; None if more than that was taken."""
        return self._committed if self._pending is self._committed else None

    def recompute(self, by_default: bool) -> None:
        """Whether lost variables are made again, if the session itself does not say."""
        self._registry.recomputing.default = by_default

    def take_back(self, name: str, value: Any, cell: int | None) -> None:
        """Know an object as what a variable stood for before it was lost, made by that cell."""
        table, label = self._committed, "v:" + name
        table.ids[label] = id(value)
        unit = table.units.get(label)
        self._pinned.know(value, map(name_of, unit.labels if unit is not None else ()), cell)

    def _capture(self, sink: Sink, everything: bool, stop: Stop) -> Delta:
        before = self._committed
        restless, self._restless = self._restless, everything
        beside = everything or restless or self._holders.any_after(self.watch.reach())
        everything = beside or self.settled is None or bool(self._damage.pins)
        table = before.successor()
        absent = self._deferred.labels()
        present = Present(self._namespace.values() | self._registry.values(), table, self._definitions)
        steady = self._registry.labels(steady=True)
        capture = Capture(table, present, self._writer, self._definitions, steady, absent)
        chunks = Chunks(self._key, before.chunks, sink, self._damage.chunks)
        chunks.stop = stop
        with graph.undisturbed():
            always = self._registry.reaching(unasked=self.watch.ran)
            capture.look(self.watch.reach(), always, self._registry.labels(steady=False), everything)
            gone, come = capture.write(chunks, self._cell(), self._limit)
        chunks.stop = never  # what follows cannot be undone
        dropped = table.replace(gone, come)
        idle = table.unused() if everything or may_leave_unused(gone, come) else []
        dropped += table.replace(idle, [])
        self._definitions.forget(uid_in(label) for unit in idle for label in unit.labels)
        gone, come = without(gone, come, idle)
        put, delete = table.pages.change(gone, come)
        self._maker.record(before, table, always, alone=not beside)
        self._pending = table
        dropped += self._look_at_files(table, chunks)
        put |= self._sundries(table, delete)
        pinned, new = self._pins(table)
        self._sent = chunks.new
        return Delta(
            put=self._seal(table, put, delete),
            delete=delete,
            add=[name for name in chunks.new if name in table.chunks],
            drop=sorted(set(dropped) - table.chunks.keys()),
            pinned=pinned,
            new_pins=new,
            lost=self._damage.pins,
            notices=self._maker.take_notices(),
        )

    def _look_at_files(self, table: Table, chunks: Chunks) -> list[str]:
        """Keep the entries of the working files; the chunks that they do not need any more."""
        if self._files is None:
            return []
        self._file_entries = self._files.collect(chunks)
        return table.refer(self._files.names(self._file_entries))

    def _sundries(self, table: Table, delete: list[str]) -> dict[str, bytes]:
        """Entries of providers that changed; names of those that went are added to `delete`."""
        found = self._registry.entries() | self._file_entries
        delete += [name for name in table.entries if name not in found]
        changed = {name: data for name, data in found.items() if table.entries.get(name) != data}
        table.entries = found
        return changed

    def _seal(self, table: Table, put: dict[str, bytes], delete: Iterable[str]) -> dict[str, bytes]:
        """The entries to put, with the manifest that vouches for all; nothing if nothing changed."""
        for name in delete:
            table.digests.pop(name, None)
        for name, data in put.items():
            table.digests[name] = manifest.digest(data, self._key, name).hex()
        if not put and not delete:
            return put
        modules = (name for name, count in table.modules.items() if count)
        recorded = {name: digest for name, digest in table.digests.items() if name != manifest.NAME}
        sealed = manifest.Manifest(recorded, versions(modules)).seal(self._key)
        table.digests[manifest.NAME] = _tag(sealed)
        return put | {manifest.NAME: sealed}

    def _refuse(self, error: TooLarge) -> Delta:
        self._pending = Table()
        return Delta(refused=error.tell(self._limit))

    def _cell(self) -> int | None:
        return self._shell.execution_count - 1 or None

    def _pins(self, table: Table) -> tuple[list[Pin], list[Pin]]:
        pinned, new = self._pinned.of(table.losses.values())
        more = self._files.pins if self._files is not None else []
        fresh = self._files.new_pins if self._files is not None else []
        return [*self._registry.failures, *more, *pinned], [*self._registry.failures, *fresh, *new]


def _tag(sealed: bytes) -> str:
    return sealed[:20].hex()
