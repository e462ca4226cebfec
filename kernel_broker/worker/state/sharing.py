"""Which dumps share objects, and so must be stored together."""

import datetime
import decimal
import enum
import fractions
import pathlib
import pickle
import re
import sys
import types
import uuid
from collections.abc import Collection, Sequence
from typing import Any

from kernel_broker.worker.state.definitions import ATOMS, Definitions
from kernel_broker.worker.state.exposure import exposed
from kernel_broker.worker.state.graph import Dumped, Root
from kernel_broker.worker.state.pickling.modules import find_home

_IMMATERIAL = ATOMS | {
    *(types.CodeType, range, slice, types.BuiltinFunctionType, types.GenericAlias, types.UnionType),
    *(re.Pattern, datetime.date, datetime.time, datetime.datetime, datetime.timedelta, datetime.timezone),
    *(uuid.UUID, pathlib.PosixPath, pathlib.PurePosixPath, decimal.Decimal, fractions.Fraction),
    pickle.PickleBuffer,
}
"""Types whose instances are never told apart by who they are."""

_TYPE_VARIABLES = frozenset({"TypeVar", "ParamSpec", "TypeVarTuple"})
_TORCH_CONSTANTS = frozenset({"dtype", "layout", "device", "memory_format", "Size"})
_LITTLE = 2**17
"""Of a dump that knows no more than so much, it is cheap to tell what others may refer to."""

_MUCH = 2**18
"""Of a dump that knows so much, it is worth a look whether it is a container of nothing but atoms."""


class Sharing:
    """Finds out which groups of roots hang together."""

    def __init__(self, definitions: Definitions, seeds: Collection[int]) -> None:
        self._definitions = definitions
        self._seeds = seeds

    def partition(self, groups: Sequence[tuple[Sequence[Root], Dumped]]) -> list[list[int]]:
        """Indices of the groups, those together that share an object."""
        parents = list(range(len(groups)))
        owners: dict[int, int] = {}
        held: list[Any] = []  # ids are an object's own only while it lives
        large = []
        for number, (roots, dumped) in enumerate(groups):
            if dumped.known > _LITTLE:
                large.append(number)
                continue
            known = exposed(roots, dumped, self._seeds, _IMMATERIAL)
            held.append(known)
            for key, item in known.items():
                if self._matters(item):
                    _join(parents, owners.setdefault(key, number), number)
        large.sort(key=lambda number: groups[number][1].size)
        for number in large:
            if not owners and number == large[-1]:
                break  # nobody else has anything that it could share
            objects = _objects(*groups[number])
            held.append(objects)
            for key in objects.keys() & owners.keys():
                apart = _root(parents, owners[key]) != _root(parents, number)
                if apart and key not in self._seeds and self._matters(objects[key][1]):
                    _join(parents, owners[key], number)
            if number != large[-1]:
                owners.update(dict.fromkeys(objects, number))
        found: dict[int, list[int]] = {}
        for number in range(len(groups)):
            found.setdefault(_root(parents, number), []).append(number)
        return list(found.values())

    def _matters(self, item: Any) -> bool:
        """Whether two variables that refer to this object must refer to the same one ever after."""
        kind = type(item)
        if kind in _IMMATERIAL or issubclass(kind, type | enum.Enum):
            return False
        if kind.__module__ == "typing":
            return kind.__name__ in _TYPE_VARIABLES
        if kind is types.FunctionType:
            return self._definitions.known_uid(item) is None and find_home(item) is None
        if kind in (tuple, frozenset):
            return len(item) > 0
        if kind is types.ModuleType:
            return getattr(item, "__spec__", None) is None
        return not (_is_numpy_constant(kind) or _is_torch_constant(kind) or _is_librarys(item))


def _is_librarys(item: Any) -> bool:
    """Whether every frame refers to this object: a function of Cython's, or a list that their class has."""
    if type(item).__name__ == "cython_function_or_method":
        return find_home(item) is not None
    generic: Any = sys.modules.get("pandas.core.generic")
    return item is getattr(getattr(generic, "NDFrame", None), "_metadata", None)


def _is_numpy_constant(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "numpy" and (
        kind.__name__ == "ufunc" or kind.__name__.endswith("DType") or kind.__name__ == "dtype"
    )


def _is_torch_constant(kind: type) -> bool:
    return kind.__module__ == "torch" and kind.__name__ in _TORCH_CONSTANTS


def _objects(roots: Sequence[Root], dumped: Dumped) -> dict[int, tuple[int, Any]]:
    if dumped.known > _MUCH and len(roots) == 1 and _is_flat(roots[0].value):
        return {id(roots[0].value): (0, roots[0].value)}
    return dumped.memo()


def _is_flat(value: Any) -> bool:
    """Whether a large container holds only atoms: then it alone can be shared."""
    kind = type(value)
    if kind not in (list, dict, set):
        return False
    if kind is dict:
        return set(map(type, value.values())) <= ATOMS and set(map(type, value)) <= ATOMS
    return set(map(type, value)) <= ATOMS


def _root(parents: list[int], number: int) -> int:
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number


def _join(parents: list[int], one: int, other: int) -> None:
    parents[_root(parents, other)] = _root(parents, one)
