"""Faults on purpose, to see that they are found: what an engine would store that fails in this way."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

Plant = Callable[[dict[str, Any]], AbstractContextManager[None]]
_before: list[Any] = []


@contextmanager
def missed_change(space: dict[str, Any]) -> Iterator[None]:
    """A list that is longer than it was at the last look is taken as it was then."""
    seen = space.get("l1")
    now = list(seen) if type(seen) is list else []
    grown = bool(_before) and _before[0] is seen and len(now) > len(_before[1])
    if grown:
        seen[:] = _before[1]
    try:
        yield
    finally:
        if grown:
            seen[:] = now
        _before[:] = [seen, now]


@contextmanager
def lost_alias(space: dict[str, Any]) -> Iterator[None]:
    """A list that somebody else has, too, is taken as one with the same items."""
    seen = space.get("l1")
    if type(seen) is list:
        space["l1"] = list(seen)
    try:
        yield
    finally:
        if type(seen) is list:
            space["l1"] = seen


@contextmanager
def nothing(space: dict[str, Any]) -> Iterator[None]:
    """No fault."""
    yield


PLANTS: dict[str, Plant] = {"": nothing, "change": missed_change, "alias": lost_alias}
