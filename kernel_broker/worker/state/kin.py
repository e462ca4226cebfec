"""Guesses which variable belongs to a large dump that was made already, and need not be dumped apart.

A guess that is missed costs time, nothing else: what shares objects is merged in the end.
"""

import sys
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any

from kernel_broker.worker.state.definitions import is_definition
from kernel_broker.worker.state.draft import Draft, Group
from kernel_broker.worker.state.graph import Dumped

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
        self._large: dict[Group, Collection[int] | None] = {}
        """Large dumps, and what is in them as far as it was asked."""

    def dump(self, group: Group) -> Dumped:
        """Dump a group, with another one if it seems to belong there."""
        other = self._of(group)
        if other is None:
            dumped = self._draft.dump(group)
        else:
            del self._large[other]
            dumped = self._draft.join(group, other)
            group = other + group
        if dumped.known > _LARGE and not all(map(is_definition, group)):
            self._large[group] = None
        return dumped

    def _of(self, group: Group) -> Group | None:
        """The group whose dump has something of this one, None if none seems to."""
        if not all(label.startswith(("v:", "o:")) for label in group) or group in self._draft.packs:
            return None
        keys: set[int] | None = None
        for other in self._large:
            if keys is None:
                keys = set(self._shared_looking(group))
            if not keys:
                return None
            if not keys.isdisjoint(self._memo_of(other)):
                return other
        return None

    def _memo_of(self, group: Group) -> Collection[int]:
        known = self._large[group]
        if known is None:
            memo = self._draft.dumps[group].memo()
            known = self._large[group] = memo.keys() - self._draft.writer.seeds.keys()
        return known

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
