"""Large variables that are loaded when code first mentions them.

Only plain data is put off: arrays, frames, containers, text. Until it is loaded, a stand-in keeps its name in
the namespace; no code sees one, because whatever could reach the name loads it first.
"""

import types
from collections.abc import Callable, Collection, Iterable
from typing import Any

from kernel_broker.worker.state.reach import mentioned, of_code
from kernel_broker.worker.state.table import Table
from kernel_broker.worker.state.units import Stored

LARGE = 2**20
"""Units of at least this many bytes are worth putting off."""

_LOOKING = frozenset({"who", "whos", "who_ls", "psearch", "dir"})
"""Names of what shows all variables."""


class StandIn:
    """Keeps the place of a variable that is not loaded."""

    def __init__(self, label: str) -> None:
        self.label = label

    def __repr__(self) -> str:
        return f"<{self.label.partition(':')[2]}: not loaded yet>"


_DATA = ("numpy.", "pandas.", "scipy.sparse.", "polars.", "pyarrow.", "torch.Tensor")
_CONTAINERS = frozenset({"list", "dict", "set", "tuple", "frozenset", "str", "bytes", "bytearray"})


def can_wait(stored: Stored) -> bool:
    """Whether a unit is large, and holds nothing but data under names of the user's."""
    unit = stored.unit
    if unit.size < LARGE:
        return False
    is_data = not (unit.used or unit.reach.names or unit.anything or unit.atoms)
    if not is_data or not all(label.startswith("v:") for label in unit.labels):
        return False
    return all(kind in _CONTAINERS or kind.startswith(_DATA) for _, kind, *_ in stored.shown)


class Deferred:
    """The variables of one shell that are not loaded."""

    def __init__(
        self,
        namespace: dict[str, Any],
        load: Callable[[str], dict[str, Any]],
        table: Callable[[], Table],
        buried: Collection[str] = (),
    ) -> None:
        """`buried` are labels of what could not be loaded: their tombstones have yet to be written."""
        self._namespace = namespace
        self._load = load
        self._table = table
        self._buried = buried
        self._waiting: dict[str, StandIn] = {}

    def adopt(self, labels: Iterable[str]) -> dict[str, Any]:
        """Stand-ins for variables, by label."""
        made = {label: StandIn(label) for label in labels}
        self._waiting = {label.partition(":")[2]: stand_in for label, stand_in in made.items()}
        return dict(made)

    def labels(self) -> frozenset[str]:
        """What is not loaded yet."""
        space = self._namespace
        gone = [name for name, stand_in in self._waiting.items() if space.get(name) is not stand_in]
        for name in gone:  # such as a name that a star import has bound anew
            del self._waiting[name]
        return frozenset(stand_in.label for stand_in in self._waiting.values())

    def before(self, code: types.CodeType, always: Iterable[str]) -> None:
        """Load what code may reach; `always` are labels whose code may run in any cell."""
        if not self._waiting:
            return
        names = mentioned(code)
        if of_code(code).anything or names & _LOOKING:
            self.load(None)
        else:
            self.load(self._reachable(names, always))

    def before_request(self, always: Iterable[str]) -> None:
        """Load what runs before and after every cell may reach."""
        if self._waiting:
            self.load(self._reachable((), always))

    def before_text(self, words: Iterable[str]) -> None:
        """Load the variables among some words."""
        if self._waiting:
            self.load(self._reachable(words, ()))

    def _reachable(self, names: Iterable[str], always: Iterable[str]) -> set[str] | None:
        """Labels that are reached by code that uses `names`; None for all."""
        table = self._table()
        queue = [*table.labels_of(names), *always]
        seen: set[str] = set()
        while queue:
            label = queue.pop()
            if label in seen:
                continue
            seen.add(label)
            onward = table.leads_to(label)
            if onward is None:
                return None
            queue += onward
        return seen

    def load(self, labels: set[str] | None) -> None:
        """Load the variables of these labels that are not loaded yet; all for None. Raises `StateError`."""
        for label in self.labels():
            name = label.partition(":")[2]
            if name in self._waiting and (labels is None or label in labels):
                self._bring(self._load(label))

    def _bring(self, values: dict[str, Any]) -> None:
        ids = self._table().ids
        for label, value in values.items():
            name = label.partition(":")[2]
            stand_in = self._waiting.pop(name, None)
            if stand_in is not None and self._namespace.get(name) is stand_in:
                self._namespace[name] = value
                ids[label] = 0 if label in self._buried else id(value)
