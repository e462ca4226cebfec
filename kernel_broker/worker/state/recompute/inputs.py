"""What a cell could read, and fingerprints of it: the same ones mean that it would read the same again."""

import types
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

from blake3 import blake3

from kernel_broker.wire.records import split_record
from kernel_broker.wire.text import to_sorted_json
from kernel_broker.worker.state.table import Table
from kernel_broker.worker.state.units import Unit

AMBIENT = (
    *("env/environ", "env/cwd", "env/path", "env/decimal", "e:builtins", "e:copyreg"),
    *("e:changes to libraries", "e:modules"),
)
"""State in no variable that any code may go by."""

_BYTES = 12


def reach(table: Table, names: Iterable[str], labels: Iterable[str] = ()) -> set[str] | None:
    """Labels of all that code with these names can reach; None for anything."""
    found: set[str] = set()
    queue = [*labels, *table.labels_of(names)]
    while queue:
        label = queue.pop()
        unit = table.units.get(label)
        if unit is None or label in found:
            continue
        if unit.reach.anything:
            return None
        found.add(label)
        if not (unit.atoms or unit.packed):
            found.update(unit.labels)
        queue += table.labels_of(unit.reach.names)
        queue += table.definitions_of(label)
    return found


def tell(value: Any) -> str:
    """A short container of short atoms, in words that are the same for the same contents."""
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__} {sorted(map(repr, value))}"
    return f"{type(value).__name__} {value!r}"


class Fingerprints:
    """Those of one moment, between two cells."""

    def __init__(self, table: Table, packed: Mapping[str, str]) -> None:
        """`packed` are values in words, by label, of what is stored many to a unit."""
        self._table = table
        self._packed = packed

    def of(self, label: str) -> str:
        """What stands for the value of a label; '' if there is none, '?' if it is not known."""
        if label in self._table.entries:
            return _short(self._table.entries[label])
        unit = self._table.units.get(label)
        if unit is None:
            return ""
        if unit.atoms:
            return self._of_atom(label)
        if unit.packed:
            return _short(_encoded(self._packed[label])) if label in self._packed else "?"
        return _of_unit(unit)

    def of_variable(self, name: str) -> str:
        """What stands for a variable and the definitions it needs; '' if it is not there, or partly lost."""
        label = "v:" + name
        unit = self._table.units.get(label)
        if unit is None or unit.losses:
            return ""
        used = map(self.of, self._table.definitions_of(label))
        return " ".join([self.of(label), *sorted(used)])

    def of_all(self, labels: Iterable[str]) -> dict[str, str]:
        """Those of some labels."""
        return {label: self.of(label) for label in labels}

    def ambient(self) -> dict[str, str]:
        """Those of what any code may go by."""
        return {label: found for label in AMBIENT if (found := self.of(label))}

    def _of_atom(self, label: str) -> str:
        uid = self._table.meant.get(label)
        if uid is not None:
            return f"definition {uid}"
        kept = self._table.atoms.get(label, self)
        value = kept() if type(kept) is weakref.ref else kept
        if kept is self or (value is None and kept is not None):
            return "?"
        if type(kept) is not weakref.ref:
            return _short(_encoded(tell(value)))
        module = "" if type(value) is types.ModuleType else getattr(value, "__module__", "")
        return f"{module}.{getattr(value, '__qualname__', None) or getattr(value, '__name__', '')}"


def _of_unit(unit: Unit) -> str:
    header, stream = split_record(unit.record)
    header.pop("variables", None)  # where and when it was bound does not matter
    return _short(to_sorted_json(header).encode() + stream)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _short(data: bytes) -> str:
    return blake3(data).hexdigest(_BYTES)


def changed(inputs: Mapping[str, str], now: Fingerprints) -> list[str]:
    """Labels that are not what they were. What was not there can be taken away again; it does not count."""
    other = [label for label, then in inputs.items() if then and (then == "?" or now.of(label) != then)]
    return other + [label for label in now.ambient() if label not in inputs]


def shown(labels: Iterable[str]) -> str:
    """Labels as a user calls them."""
    names = list(dict.fromkeys(map(_shown, labels)))
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _shown(label: str) -> str:
    kind, _, name = label.replace("env/", "env:", 1).partition(":")
    if kind == "v":
        return f"'{name}'"
    if kind == "o":
        return f"Out[{name}]"
    return "a function or class" if kind == "d" else name
