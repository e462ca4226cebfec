"""The units that one capture is about to write, as dumps of groups of labels, and the units they replace."""

import types
from collections.abc import Iterable

from kernel_broker.worker.state.chunks import Chunks
from kernel_broker.worker.state.definitions import Definitions, fingerprint, is_definition, uid_in
from kernel_broker.worker.state.errors import TooLarge
from kernel_broker.worker.state.graph import Dumped, GraphWriter, Root
from kernel_broker.worker.state.namespace import name_of
from kernel_broker.worker.state.present import Present
from kernel_broker.worker.state.preview import describe
from kernel_broker.worker.state.table import Table
from kernel_broker.worker.state.units import Unit, encode

Group = tuple[str, ...]
"""Labels that are stored together."""


class Draft:
    """The dumps of one capture."""

    def __init__(self, table: Table, present: Present, writer: GraphWriter, definitions: Definitions) -> None:
        self.table = table
        self.present = present
        self.writer = writer
        self.definitions = definitions
        self.dumps: dict[Group, Dumped] = {}
        self.replaced: dict[int, Unit] = {}
        """Units that are written anew, or went, by their ids."""

        self.packs: set[Group] = set()
        """Groups that share nothing, and are together because they are small."""

    def root(self, label: str) -> Root:
        """The object of a label."""
        if is_definition(label):
            found = self.definitions.made[uid_in(label)]
            return Root(label, getattr(found, "__name__", label), found)
        return Root(label, name_of(label), self.present.values[label])

    def dump(self, group: Group) -> Dumped:
        """Dump what will be one unit."""
        own = frozenset(uid_in(label) for label in group if is_definition(label))
        dumped = self.writer.dump([self.root(label) for label in group], own)
        self.dumps[group] = dumped
        return dumped

    def join(self, group: Group, other: Group) -> Dumped:
        """Add a group to the dump of another one."""
        whole = other + group
        dumped = self.dumps.pop(other)
        try:
            dumped.extend(self.root(label) for label in group)
        except BaseException:
            return self.dump(whole)
        self.dumps[whole] = dumped
        return dumped

    def dump_together(self, groups: Iterable[Group]) -> None:
        """Dump groups as one, the definitions first."""
        labels: list[str] = []
        for group in groups:
            self.dumps.pop(group, None)
            labels += group
        labels.sort(key=lambda label: not is_definition(label))
        self.dump(tuple(labels))

    def replace(self, unit: Unit) -> None:
        """Write the labels of a unit anew."""
        self.replaced[id(unit)] = unit

    def check(self, limit: int) -> None:
        """Raises `TooLarge` if the state would be larger than it may be."""
        if not limit or not self.dumps:
            return
        total = self.table.size - sum(unit.size for unit in self.replaced.values())
        total += sum(dumped.size for dumped in self.dumps.values())
        if total > limit:
            labels, largest = max(self.dumps.items(), key=lambda item: item[1].size)
            raise TooLarge(labels, largest.size, total)

    def units(self, chunks: Chunks) -> tuple[list[Unit], list[Unit]]:
        """The units that go, and those that come, less those that are as they were."""
        come = [self._encode(group, dumped, chunks) for group, dumped in self.dumps.items()]
        same = {unit.labels: unit.record for unit in self.replaced.values()}
        kept = {unit.labels for unit in come if same.get(unit.labels) == unit.record}
        for unit in come:
            if unit.labels in kept:
                self.table.renew(unit)
        gone = [unit for unit in self.replaced.values() if unit.labels not in kept]
        return gone, [unit for unit in come if unit.labels not in kept]

    def _encode(self, group: Group, dumped: Dumped, chunks: Chunks) -> Unit:
        shown = [
            describe(label[2:], self.present.values[label], self.table.cells.get(label))
            for label in group
            if label.startswith("v:")
        ]
        if len(group) == 1 and is_definition(group[0]):
            uid = uid_in(group[0])
            found = self.definitions.made[uid]
            if type(found) is types.FunctionType:
                self.table.prints[uid] = fingerprint(found)
        atoms = group[0] in self.present.atoms
        return encode(group, shown, dumped, chunks, atoms=atoms, packed=atoms or group in self.packs)
