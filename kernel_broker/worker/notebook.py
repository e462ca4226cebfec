"""What a notebook may import of the worker: the error of lost objects, and a way for objects of a type."""

import copyreg
import types
from collections.abc import Callable
from typing import Any

from kernel_broker.worker.state.tombstone import StateLost

__all__ = ["StateLost", "register_restore"]


def register_restore(kind: type, get: Callable[[Any], Any], make: Callable[[Any], Any]) -> None:
    """Say how objects of a type travel: `get(object)` gives what is kept, `make(that)` the object again.

    It goes before whatever else is known of the type, and is itself part of the session.
    """

    def reduce(found: Any) -> tuple[Any, ...]:
        return restored, (make, needs(make), get(found))

    reduce.__module__ = "__main__"  # it is the session's, and travels by value
    copyreg.pickle(kind, reduce)


def needs(make: Any) -> dict[str, Any]:
    """The variables that a function of the session's names, and those that these name."""
    found: dict[str, Any] = {}
    waiting = [make]
    while waiting:
        function = waiting.pop()
        if type(function) is not types.FunctionType or function.__module__ != "__main__":
            continue
        space = function.__globals__
        fresh = {name: space[name] for name in function.__code__.co_names if name in space}
        waiting += [value for name, value in fresh.items() if name not in found]
        found |= fresh
    return found


def restored(make: Any, named: dict[str, Any], kept: Any) -> Any:
    """The object again: the variables that its function names may not be back yet."""
    if named:
        for name, value in named.items():
            make.__globals__.setdefault(name, value)
    return make(kept)
