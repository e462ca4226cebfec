"""Guesses which variable belongs to a large dump that was made already, and need not be dumped apart.

A guess that is missed costs time, nothing else: what shares objects is merged in the end.
"""

import sys
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any

from kernel_broker.worker.state.definitions import is_definition
from kernel_broker.worker.state.draft import Draft, Group

_LARGE = 2**15
"""Bytes that a dump knows from which on it is worth asking."""

_LOOKED_AT = 8
"""Members of a container that are looked at."""

_USUAL = 5
"""References to a value that nobody else has: the namespace's, the list of values', and those of the look."""

_COMMON = (type, type(len), type(lambda: 0), type(sys), str, bytes, int, float, tuple, frozenset)
"""Types of objects that many refer to without sharing anything."""


class Kin:
    """The large dumps of a draft."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._known: dict[Group, Collection[int]] = {}

    def of(self, group: Group) -> Group | None:
        """The group whose dump has something of this one, None if none seems to."""
        if not all(label.startswith(("v:", "o:")) for label in group) or group in self._draft.packs:
            return None
        keys: set[int] | None = None
        for other, dumped in self._draft.dumps.items():
            if dumped.known <= _LARGE or all(map(is_definition, other)):
                continue
            if keys is None:
                keys = set(self._shared_looking(group))
            if not keys:
                return None
            if other not in self._known:
                self._known[other] = dumped.memo().keys() - self._draft.writer.seeds.keys()
            if not keys.isdisjoint(self._known[other]):
                return other
        return None

    def _shared_looking(self, group: Group) -> Iterator[int]:
        for label in group:
            value = self._draft.present.values[label]
            for item in (value, *_members(value)):
                if not issubclass(type(item), _COMMON) and sys.getrefcount(item) > _USUAL:
                    yield id(item)


def _members(value: Any) -> Iterable[Any]:
    kind = type(value)
    if kind in (list, tuple):
        return value[:_LOOKED_AT]
    if kind is dict:
        return list(islice(value.copy().values(), _LOOKED_AT)) if len(value) < 2**12 else ()
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and kind is numpy.ndarray and value.dtype.hasobject:
        return list(value.flat[:_LOOKED_AT])
    return ()
