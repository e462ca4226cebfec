"""The labelled objects of this moment, beside those that a table knows."""

import itertools
import operator
import types
import weakref
from collections.abc import Mapping
from typing import Any

from kernel_broker.worker.state.definitions import ATOMS, Definitions
from kernel_broker.worker.state.pickling.modules import find_home, is_static
from kernel_broker.worker.state.table import Table

_ATOM_BYTES = 1024
"""Longest text among the atoms."""


class Present:
    """What each label stands for now, and what of that is new."""

    def __init__(self, values: Mapping[str, Any], table: Table, definitions: Definitions) -> None:
        self.values = values
        self.ids = dict(zip(values, map(id, values.values()), strict=True))
        known = table.ids
        differ = map(operator.ne, self.ids.values(), map(known.get, self.ids))
        self.bound = dict.fromkeys(itertools.compress(self.ids, differ))
        """Labels that stand for another object than the table's."""

        for label, kept in table.atoms.items():
            if type(kept) is weakref.ref and label in values and kept() is not values[label]:
                self.bound[label] = None  # a new definition where another one was

        self.gone = list(itertools.filterfalse(values.__contains__, known))
        """Labels of the table's that stand for nothing."""

        self.atoms = dict(table.atoms)
        """Labels of small immutable values, or of mere references to a module or a definition."""

        for label in self.gone:
            self.atoms.pop(label, None)
        for label in self.bound:
            self._sort(label, values[label], definitions)

    def _sort(self, label: str, value: Any, definitions: Definitions) -> None:
        if label.startswith(("v:", "o:")) and _is_atom(value, definitions):
            self.atoms[label] = held(value)
        else:
            self.atoms.pop(label, None)


def held(value: Any) -> Any:
    """What is known of an atom until the next look; no object is kept whose end a user could notice."""
    return value if type(value) in ATOMS else weakref.ref(value)


def _is_atom(value: Any, definitions: Definitions) -> bool:
    kind = type(value)
    if kind is str or kind is bytes:
        return len(value) <= _ATOM_BYTES
    if kind is types.FunctionType:
        return definitions.holds(value) or find_home(value) is not None
    return kind in ATOMS or kind is type or (kind is types.ModuleType and is_static(value, value.__name__))
