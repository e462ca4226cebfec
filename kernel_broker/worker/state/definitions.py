"""Classes and functions that many variables refer to: each is stored once, under an identifier of its own.

A class by value is always a definition; a function is one if it holds nothing that could be shared.
"""

import sys
import types
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})
"""Types of immutable values that nothing can be shared through."""

_CONSTANTS = ATOMS | {type(Ellipsis)}
_LABEL = "d:"


def label_of(uid: str) -> str:
    """The label under which a definition is stored."""
    return _LABEL + uid


def is_definition(label: str) -> bool:
    """Whether a label is that of a definition."""
    return label.startswith(_LABEL)


def uid_in(label: str) -> str:
    """The identifier in the label of a definition."""
    return label.removeprefix(_LABEL)


class Definitions:
    """The definitions of one session, by identifier and by object.

    They are `held` while a state is taken or brought back, and at no other time kept alive: one that a cell
    replaces ends when it would without an engine.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._alive: dict[str, weakref.ref[Any]] = {}
        self.made: dict[str, Any] = {}
        """The definitions by identifier, while they are held."""

        self._uids: dict[int, str] = {}
        self.ended: frozenset[str] = frozenset()
        """Identifiers of those that ended since they were held before."""

        self._next = 1

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep all definitions alive for the block."""
        found = {uid: reference() for uid, reference in self._alive.items()}
        self.ended = frozenset(uid for uid, definition in found.items() if definition is None)
        for uid in self.ended:
            del found[uid], self._alive[uid]
        self.made = found
        self._uids = {id(definition): uid for uid, definition in found.items()}
        try:
            yield
        finally:
            self.made, self._uids = {}, {}

    def uid_of(self, found: Any) -> str:
        """The identifier of a definition, a new one if it has none yet."""
        uid = self._uids.get(id(found))
        if uid is None:
            uid = str(self._next)
            self.register(uid, found)
        return uid

    def register(self, uid: str, found: Any) -> None:
        """Know an object as the one of that identifier."""
        self.made[uid] = found
        self._alive[uid] = weakref.ref(found)
        self._uids[id(found)] = uid
        self._next = max(self._next, int(uid) + 1)

    def known_uid(self, found: Any) -> str | None:
        """The identifier of an object, None if it is no definition."""
        return self._uids.get(id(found))

    def among(self, values: Mapping[str, Any]) -> dict[str, str]:
        """The identifiers of those of some objects that are definitions."""
        uids = self._uids
        if not uids:
            return {}
        return {label: uids[key] for label, value in values.items() if (key := id(value)) in uids}

    def holds(self, function: types.FunctionType) -> bool:
        """Whether a function is a definition, or may become one."""
        if id(function) in self._uids:
            return True
        return function.__globals__ is self._namespace and is_plain(function)

    def reserve(self, uids: Any) -> None:
        """Never give these identifiers to anything else."""
        self._next = max([self._next, *(int(uid) + 1 for uid in uids)])

    def forget(self, uids: Any) -> None:
        """Let go of definitions that nothing refers to."""
        for uid in uids:
            self._uids.pop(id(self.made.pop(uid, None)), None)
            self._alive.pop(uid, None)


def is_plain(function: types.FunctionType) -> bool:
    """Whether a function is no more than its code: nothing in it can be shared, or change unseen."""
    if function.__closure__ or function.__dict__ or _is_method(function):
        return False
    return all(type(item) in _CONSTANTS for item in function.__defaults__ or ()) and all(
        type(item) in _CONSTANTS for item in (function.__kwdefaults__ or {}).values()
    )


def _is_method(function: types.FunctionType) -> bool:
    """Whether it was defined in a class, which then brings it along."""
    return "." in function.__qualname__.rpartition("<locals>.")[2]


def _shares_parts(function: types.FunctionType) -> bool:
    """Whether something else holds one of its dicts, as what `functools.wraps` made does."""
    parts = (function.__annotations__, function.__kwdefaults__, function.__dict__)
    return any(it is not None and sys.getrefcount(it) > _ITS_OWN for it in parts)


_ITS_OWN = 4
"""References to a dict of a function's while it is looked at."""


def fingerprint(function: types.FunctionType) -> Any:
    """What makes a plain function what it is, to be compared; None if something in it may change unseen."""
    if _shares_parts(function):
        return None
    notes = function.__annotations__
    names = (function.__name__, function.__qualname__, function.__module__, function.__doc__)
    if not is_plain(function) or not all(type(it) in (str, type(None)) for it in names):
        return None
    if not all(type(it) in _CONSTANTS or issubclass(type(it), type) for it in notes.values()):
        return None
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    exact = [(type(it), repr(it) if type(it) in (float, complex) else it) for it in defaults]
    keywords = (len(function.__defaults__ or ()), *(function.__kwdefaults__ or {}))
    return function.__code__, exact, keywords, names, [(name, id(it)) for name, it in notes.items()]
