"""One capture: from what ran, to the units that may have changed, to the difference that is committed."""

import types
from collections.abc import Iterable

from kernel_broker.worker.state.chunks import Chunks
from kernel_broker.worker.state.definitions import Definitions, fingerprint, is_definition, label_of, uid_in
from kernel_broker.worker.state.draft import Draft, Group
from kernel_broker.worker.state.graph import Dumped, GraphWriter
from kernel_broker.worker.state.kin import Kin
from kernel_broker.worker.state.merging import merge, untie
from kernel_broker.worker.state.packing import is_small, pack, plan_atoms
from kernel_broker.worker.state.present import Present
from kernel_broker.worker.state.reach import Reach
from kernel_broker.worker.state.table import Table
from kernel_broker.worker.state.units import Unit


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
        self._definitions = definitions
        self._draft = Draft(table, present, writer, definitions)
        self._taken: dict[str, None] = dict.fromkeys(absent)
        """Labels whose units are written anew."""
        self._waiting: list[Group] = []
        self._everything = False
        self._steady = frozenset(steady)

    def look(self, reach: Reach, always: Iterable[str], restless: Iterable[str], everything: bool) -> None:
        """Dump all units that code of this reach may have touched.

        `always` are labels of objects that libraries and the shell may use unasked, `restless` of what was
        collected outside the variables and may have changed inside.
        """
        for group in plan_atoms(self._draft):
            self._follow(self._draft.dump(group))
        self._touch([*self._present.bound, *self._present.gone, *self._left_by_ended()])
        if everything or reach.anything:
            self._touch_everything()
        else:
            self._touch([*self._table.labels_of(reach.names), *always])
            self._touch(restless, follow=False)
        self._waiting = pack(self._draft, self._waiting)
        kin = Kin(self._draft)
        while self._waiting:
            self._follow(kin.dump(self._waiting.pop()))

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
            if not self._is_unchanged(unit):
                self._draft.replace(unit)
                self._take(unit.labels, unit.packed)
            self._taken.update(dict.fromkeys(unit.labels))
            if not follow or self._everything:
                continue
            onward = self._table.leads_to(label)
            if onward is None:
                self._touch_everything()
                return
            queue += onward

    def _meant_by(self, label: str) -> list[str]:
        """The definitions that a label stood for, and stands for now."""
        then = self._table.meant.get(label)
        now = self._definitions.known_uid(self._present.values[label]) if label in self._atoms else None
        return [label_of(uid) for uid in dict.fromkeys((then, now)) if uid is not None]

    def _is_unchanged(self, unit: Unit) -> bool:
        """Whether it is as it was, and there is no need to write it to see that."""
        first = unit.labels[0]
        if len(unit.labels) > 1 or unit.used & self._definitions.ended:
            return False
        if first in self._steady and first not in self._present.bound and not self._everything:
            return True
        return is_definition(first) and self._is_same_function(unit)

    def _is_same_function(self, unit: Unit) -> bool:
        """Whether it is a plain function as it was."""
        uid = uid_in(unit.labels[0])
        known, found = self._table.prints.get(uid), self._definitions.made.get(uid)
        return known is not None and type(found) is types.FunctionType and fingerprint(found) == known

    def _take(self, labels: Group, packed: bool = False) -> None:
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
                fits = not packed or is_small(self._present.values[label])
                (kept if same and fits else alone).append(label)
        self._waiting += [(label,) for label in alone]
        if kept:
            self._waiting.append(tuple(kept))
        if kept and packed:
            self._draft.packs.add(tuple(kept))

    def _follow(self, dumped: Dumped) -> None:
        """Definitions that a dump refers to are written too, if they are new."""
        self._touch(label for uid in dumped.used if (label := label_of(uid)) not in self._table.units)

    def write(self, chunks: Chunks, cell: int | None, limit: int) -> tuple[list[Unit], list[Unit]]:
        """Merge what shares objects, and encode it; the units that went, and those that came.

        Raises `TooLarge`.
        """
        self._note_bound(cell)
        merge(self._draft)
        untie(self._draft)
        self._draft.check(limit)
        return self._draft.units(chunks)

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
