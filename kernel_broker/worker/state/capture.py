"""One capture: from what ran, to the units that may have changed, to the difference that is committed."""

import types
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from kernel_broker.worker.state.chunks import Chunks
from kernel_broker.worker.state.definitions import Definitions, fingerprint, is_definition, label_of, uid_in
from kernel_broker.worker.state.errors import TooLarge
from kernel_broker.worker.state.graph import Dumped, GraphWriter, Root
from kernel_broker.worker.state.namespace import name_of
from kernel_broker.worker.state.present import Present
from kernel_broker.worker.state.preview import describe
from kernel_broker.worker.state.reach import Reach
from kernel_broker.worker.state.sharing import Sharing
from kernel_broker.worker.state.table import Table
from kernel_broker.worker.state.units import Unit, encode

_ATOMS_TOGETHER = 32
"""Atoms to a unit: small immutable values share nothing, and are written again only when rebound."""

Group = tuple[str, ...]


class Capture:
    """Brings a table up to date with the objects of the process."""

    def __init__(
        self,
        table: Table,
        present: Present,
        writer: GraphWriter,
        definitions: Definitions,
        steady: Iterable[str] = (),
        absent: frozenset[str] = frozenset(),
    ) -> None:
        """`steady` are labels of what only changes by being replaced, `absent` of what is not loaded."""
        self._table = table
        self._present = present
        self._atoms = present.atoms
        self._writer = writer
        self._definitions = definitions
        self._taken: dict[str, None] = dict.fromkeys(absent)
        """Labels whose units are written anew."""
        self._replaced: dict[int, Unit] = {}
        self._dumps: dict[Group, Dumped] = {}
        self._waiting: list[Group] = []
        self._everything = False
        self._steady = frozenset(steady)

    # -- which units ------------------------------------------------------------------------------------

    def look(self, reach: Reach, always: Iterable[str], restless: Iterable[str], everything: bool) -> None:
        """Dump all units that code of this reach may have touched.

        `always` are labels of objects that libraries and the shell may use unasked, `restless` of what was
        collected outside the variables and may have changed inside.
        """
        self._plan_atoms()
        self._touch([*self._present.bound, *self._present.gone, *self._left_by_ended()])
        if everything or reach.anything:
            self._touch_everything()
        else:
            self._touch([*self._table.labels_of(reach.names), *always])
            self._touch(restless, follow=False)
        while self._waiting:
            group = self._waiting.pop()
            self._follow(self._dump(group))

    def _left_by_ended(self) -> list[str]:
        """Labels of definitions that ended, and of what referred to them (by weak references, maybe)."""
        ended = self._definitions.ended
        if not ended:
            return []
        for uid in ended:
            self._table.prints.pop(uid, None)
        users = [label for unit in self._table.all_units() if unit.used & ended for label in unit.labels]
        return [*map(label_of, ended), *users]

    def _touch_everything(self) -> None:
        self._everything = True
        self._touch([*self._table.units, *self._present.values], follow=False)

    def _touch(self, labels: Iterable[str], follow: bool = True) -> None:
        """Take the units of some labels, and of all that their code can reach."""
        queue = list(labels)
        while queue:
            label = queue.pop()
            if label in self._taken:
                continue
            if label in self._atoms:
                self._taken[label] = None
            unit = self._table.units.get(label)
            if unit is None or unit.atoms:
                if label not in self._atoms:
                    self._take((label,))
                queue += self._meant_by(label)
                continue
            self._replaced[id(unit)] = unit
            if not self._is_unchanged(unit):
                self._take(unit.labels)
            self._taken.update(dict.fromkeys(unit.labels))
            if not follow or self._everything:
                continue
            if unit.anything:
                self._touch_everything()
                return
            queue += self._table.labels_of(unit.reach.names)
            queue += [label_of(uid) for uid in unit.used]

    def _meant_by(self, label: str) -> list[str]:
        """The definitions that a label stood for, and stands for now."""
        uids = {self._table.meant.get(label)}
        if label in self._atoms:
            uids.add(self._definitions.known_uid(self._present.values[label]))
        return [label_of(uid) for uid in uids if uid is not None]

    def _is_unchanged(self, unit: Unit) -> bool:
        """Whether it is as it was, and there is no need to write it to see that."""
        first = unit.labels[0]
        if len(unit.labels) > 1:
            return False
        if first in self._steady and first not in self._present.bound and not self._everything:
            del self._replaced[id(unit)]
            return True
        return is_definition(first) and self._is_same_function(unit)

    def _is_same_function(self, unit: Unit) -> bool:
        """Whether it is a plain function as it was."""
        uid = uid_in(unit.labels[0])
        known, found = self._table.prints.get(uid), self._definitions.made.get(uid)
        if known is None or type(found) is not types.FunctionType or fingerprint(found) != known:
            return False
        del self._replaced[id(unit)]
        return True

    def _take(self, labels: Group) -> None:
        """Plan to dump what is left of a unit; what was bound anew stands for itself."""
        kept: list[str] = []
        alone: list[str] = []
        for label in labels:
            if label in self._taken:
                continue
            self._taken[label] = None
            if is_definition(label):
                if uid_in(label) in self._definitions.made:
                    kept.append(label)
            elif label in self._present.values and label not in self._atoms:
                same = label not in self._present.bound or label.startswith(("e:", "n:"))
                (kept if same else alone).append(label)
        self._waiting += [(label,) for label in alone]
        if kept:
            self._waiting.append(tuple(kept))

    def _follow(self, dumped: Dumped) -> None:
        """Definitions that a dump refers to are written too, if they are new."""
        self._touch(label for uid in dumped.used if (label := label_of(uid)) not in self._table.units)

    def _dump(self, group: Group) -> Dumped:
        own = frozenset(uid_in(label) for label in group if is_definition(label))
        dumped = self._writer.dump([self._root(label) for label in group], own)
        self._dumps[group] = dumped
        return dumped

    def _root(self, label: str) -> Root:
        if is_definition(label):
            found = self._definitions.made[uid_in(label)]
            return Root(label, getattr(found, "__name__", label), found)
        return Root(label, name_of(label), self._present.values[label])

    # -- atoms ------------------------------------------------------------------------------------------

    def _plan_atoms(self) -> None:
        """Units of atoms are written again if one of theirs was bound anew, or is no atom any more."""
        units = self._table.units
        bound = self._present.bound
        homes = (units[label] for label in (*bound, *self._present.gone) if self._is_home(label))
        dirty = {id(unit): unit for unit in homes}
        homeless = [label for label in bound if label in self._atoms and not self._is_home(label)]
        for unit in dirty.values():
            kept = [label for label in unit.labels if label in self._atoms]
            room = max(0, _ATOMS_TOGETHER - len(kept))
            kept += homeless[:room]
            del homeless[:room]
            if kept:
                self._follow(self._dump(tuple(kept)))
        for start in range(0, len(homeless), _ATOMS_TOGETHER):
            self._follow(self._dump(tuple(homeless[start : start + _ATOMS_TOGETHER])))
        self._replaced.update(dirty)

    def _is_home(self, label: str) -> bool:
        """Whether a label is in a unit of atoms."""
        unit = self._table.units.get(label)
        return unit is not None and unit.atoms

    # -- the outcome ------------------------------------------------------------------------------------

    def write(self, chunks: Chunks, cell: int | None, limit: int) -> tuple[list[Unit], list[Unit]]:
        """Merge what shares objects, and encode it; the units that went, and those that came.

        Raises `TooLarge`.
        """
        self._note_bound(cell)
        self._merge()
        self._untie()
        gone = self._replaced
        self._check(gone.values(), limit)
        come = [self._encode(group, dumped, chunks) for group, dumped in self._dumps.items()]
        same = {unit.labels: unit for unit in gone.values()}
        fresh = [unit for unit in come if unit.labels not in same or same[unit.labels].record != unit.record]
        kept = {unit.labels for unit in come} - {unit.labels for unit in fresh}
        for unit in come:
            if unit.labels in kept:
                self._table.renew(unit)
        return [unit for unit in gone.values() if unit.labels not in kept], fresh

    def _note_bound(self, cell: int | None) -> None:
        """What labels stand for, and since which cell."""
        table, present = self._table, self._present
        for label in present.gone:
            table.cells.pop(label, None)
            table.meant.pop(label, None)
        for label in present.bound:
            table.cells[label] = cell
            uid = self._definitions.known_uid(present.values[label])
            if uid is None:
                table.meant.pop(label, None)
            else:
                table.meant[label] = uid
        table.ids, table.atoms = present.ids, present.atoms

    def _merge(self) -> None:
        candidates = [(group, dumped) for group, dumped in self._dumps.items() if group[0] not in self._atoms]
        if len(candidates) < 2:
            return
        rooted = [([self._root(label) for label in group], dumped) for group, dumped in candidates]
        for members in Sharing(self._definitions, self._writer.seeds).partition(rooted):
            if len(members) > 1:
                self._dump_together([candidates[number][0] for number in members])

    def _dump_together(self, groups: Iterable[Group]) -> None:
        """Dump groups as one, the definitions first."""
        labels: list[str] = []
        for group in groups:
            self._dumps.pop(group, None)
            labels += group
        labels.sort(key=lambda label: not is_definition(label))
        self._dump(tuple(labels))

    def _untie(self) -> None:
        """Merge units whose definitions need each other: each would have to be loaded before the other."""
        while any(dumped.used and is_definition(group[0]) for group, dumped in self._dumps.items()):
            try:
                TopologicalSorter(self._needs()).prepare()
            except CycleError as error:
                knot: list[Group] = list(dict.fromkeys(error.args[1]))
                for group in knot:
                    if group not in self._dumps:
                        unit = self._table.units[group[0]]
                        self._replaced[id(unit)] = unit
                self._dump_together(knot)
            else:
                return

    def _needs(self) -> dict[Group, set[Group]]:
        """Which units with definitions need which."""
        used: dict[Group, Iterable[str]] = {}
        for unit in self._table.all_units():
            if is_definition(unit.labels[0]) and id(unit) not in self._replaced:
                used[unit.labels] = unit.used
        used |= {group: dumped.used for group, dumped in self._dumps.items() if is_definition(group[0])}
        home = {label: group for group in used for label in group if is_definition(label)}
        return {
            group: {home[label_of(uid)] for uid in uids if label_of(uid) in home} - {group}
            for group, uids in used.items()
        }

    def _check(self, gone: Iterable[Unit], limit: int) -> None:
        if not limit or not self._dumps:
            return
        total = self._table.size - sum(unit.size for unit in gone)
        total += sum(dumped.size for dumped in self._dumps.values())
        if total > limit:
            labels, largest = max(self._dumps.items(), key=lambda item: item[1].size)
            raise TooLarge(labels, largest.size, total)

    def _encode(self, group: Group, dumped: Dumped, chunks: Chunks) -> Unit:
        shown = [
            describe(label[2:], self._present.values[label], self._table.cells.get(label))
            for label in group
            if label.startswith("v:")
        ]
        if len(group) == 1 and is_definition(group[0]):
            uid = uid_in(group[0])
            found = self._definitions.made[uid]
            if type(found) is types.FunctionType:
                self._table.prints[uid] = fingerprint(found)
        return encode(group, shown, dumped, chunks, atoms=group[0] in self._atoms)
