"""What the store holds of a session, as its worker knows it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from kernel_broker.worker.state.definitions import is_definition, label_of, uid_in
from kernel_broker.worker.state.units import Pages, Unit


@dataclass
class Table:
    """The units of one revision, by label."""

    units: dict[str, Unit] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    """The object that each label stood for."""
    cells: dict[str, int | None] = field(default_factory=dict)
    """The cell that bound each label."""
    chunks: Counter[str] = field(default_factory=Counter)
    """How many units refer to each chunk."""
    pages: Pages = field(default_factory=Pages)
    digests: dict[str, str] = field(default_factory=dict)
    entries: dict[str, bytes] = field(default_factory=dict)
    """Entries of the providers, as they were written."""

    prints: dict[str, Any] = field(default_factory=dict)
    """Fingerprints of the functions among the definitions."""

    files: frozenset[str] = frozenset()
    """Chunks that the working files refer to."""

    meant: dict[str, str] = field(default_factory=dict)
    """The definition that each label stands for, if it does for one."""

    atoms: dict[str, Any] = field(default_factory=dict)
    """What is stored in units of atoms. Values are held here: `x += 1.5` twice may make a float where the
    first one was, and the id alone would not tell."""

    losses: dict[tuple[str, ...], Unit] = field(default_factory=dict)
    """The units that lost something."""

    modules: Counter[str] = field(default_factory=Counter)
    """How many units need each module."""

    size: int = 0
    """Bytes of all units."""

    def successor(self) -> "Table":
        """A table to be changed while this one stays as it is."""
        return Table(
            dict(self.units),
            dict(self.ids),
            dict(self.cells),
            self.chunks.copy(),
            self.pages.copy(),
            dict(self.digests),
            dict(self.entries),
            dict(self.prints),
            self.files,
            dict(self.meant),
            dict(self.atoms),
            dict(self.losses),
            self.modules.copy(),
            self.size,
        )

    def all_units(self) -> list[Unit]:
        """Every unit once."""
        return list({id(unit): unit for unit in self.units.values()}.values())

    def replace(self, gone: Iterable[Unit], come: Sequence[Unit]) -> list[str]:
        """Take units out and others in; the chunks that nobody refers to any more."""
        touched: set[str] = set()
        for unit in gone:
            for label in unit.labels:
                self.units.pop(label, None)
            self.losses.pop(unit.labels, None)
            self.chunks.subtract(unit.chunks)
            self.modules.subtract(unit.modules)
            self.size -= unit.size
            touched |= unit.chunks
        for unit in come:
            self.renew(unit)
            self.chunks.update(unit.chunks)
            self.modules.update(unit.modules)
            self.size += unit.size
        return self._drop(touched)

    def begin(self, units: Sequence[Unit]) -> None:
        """Take in the units of a state that was stored."""
        for unit in units:
            for label in unit.labels:
                self.units[label] = unit
            self.size += unit.size
        self.chunks.update(chain.from_iterable(unit.chunks for unit in units))
        self.modules.update(chain.from_iterable(unit.modules for unit in units))

    def renew(self, unit: Unit) -> None:
        """Take a unit in the place of one that was stored alike."""
        self.units.update(dict.fromkeys(unit.labels, unit))
        if unit.losses:
            self.losses[unit.labels] = unit
        else:
            self.losses.pop(unit.labels, None)

    def refer(self, files: set[str]) -> list[str]:
        """Refer to the chunks of the working files; those that nobody refers to any more."""
        before, self.files = self.files, frozenset(files)
        self.chunks.update(self.files - before)
        gone = before - self.files
        self.chunks.subtract(gone)
        return self._drop(gone)

    def _drop(self, names: Iterable[str]) -> list[str]:
        """Forget the chunks among these that nobody refers to any more; their names."""
        dropped = sorted(name for name in names if self.chunks[name] <= 0)
        for name in dropped:
            del self.chunks[name]
        return dropped

    def unused(self) -> list[Unit]:
        """Definitions that nothing refers to any more."""
        definitions = {label: unit for label, unit in self.units.items() if is_definition(label)}
        queue = [uid for unit in self.all_units() if unit.labels[-1] not in definitions for uid in unit.used]
        alive: set[str] = set()
        while queue:
            uid = queue.pop()
            if uid in alive:
                continue
            alive.add(uid)
            unit = self.units.get(label_of(uid))
            queue += unit.used if unit is not None else ()
        return [
            unit
            for unit in {id(unit): unit for unit in definitions.values()}.values()
            if all(label in definitions and uid_in(label) not in alive for label in unit.labels)
        ]

    def definitions_of(self, label: str) -> list[str]:
        """Labels of the definitions that what is stored under a label needs, or stands for."""
        unit = self.units.get(label)
        if unit is None:
            return []
        if not unit.atoms:
            return [label_of(uid) for uid in unit.used]
        uid = self.meant.get(label)
        return [label_of(uid)] if uid is not None else []

    def leads_to(self, label: str) -> list[str] | None:
        """Labels of what code stored under a label can reach next; None for whatever there is."""
        unit = self.units.get(label)
        if unit is None or unit.atoms:
            return self.definitions_of(label)
        if unit.anything:
            return None
        return [*self.labels_of(unit.reach.names), *self.definitions_of(label)]

    def labels_of(self, names: Iterable[str]) -> list[str]:
        """The labels that names in code may stand for."""
        found = []
        for name in names:
            label = "v:" + name
            if label in self.units:
                found.append(label)
            if name[:1] == "_":
                found += self._results_of(name)
            elif name == "Out":
                found += self._results_of("_oh")
        return found

    def _results_of(self, name: str) -> list[str]:
        if name[1:].isdecimal():
            return ["o:" + name[1:]]
        results = [label for label in self.units if label.startswith("o:")]
        if name == "_oh":
            return results
        return results[-3:] if name in ("_", "__", "___") else []


def may_leave_unused(gone: Iterable[Unit], come: Iterable[Unit]) -> bool:
    """Whether a definition that was referred to may not be any more."""
    used = {uid for unit in gone for uid in unit.used}
    for unit in come:
        used -= unit.used - {uid_in(label) for label in unit.labels}
    return bool(used)


def without(gone: list[Unit], come: list[Unit], idle: list[Unit]) -> tuple[list[Unit], list[Unit]]:
    """Units that go and come, less those that came to be of no use."""
    useless = {id(unit) for unit in idle}
    new = {id(unit) for unit in come}
    went = [unit for unit in idle if id(unit) not in new]
    return [*gone, *went], [unit for unit in come if id(unit) not in useless]
