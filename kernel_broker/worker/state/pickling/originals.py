"""Functions of libraries that a cell put others in place of: a fresh process still has them by name."""

import sys
import types
from typing import Any


class Originals:
    """What libraries had at the places that cells changed."""

    def __init__(self) -> None:
        self.displaced: set[tuple[str, str]] = set()
        """Places, by module and dotted path, that hold something of the session's now."""

        self._kept: dict[tuple[str, str], Any] = {}

    def keep(self, place: tuple[str, str], value: Any) -> None:
        """Remember what is about to be displaced in this process."""
        self._kept.setdefault(place, value)

    def place_of(self, found: Any) -> tuple[str, str] | None:
        """Where a displaced original was, None for anything else."""
        if not self.displaced:
            return None
        place = (getattr(found, "__module__", None), getattr(found, "__qualname__", None))
        if place not in self.displaced:
            return None
        if place in self._kept:
            return place if self._kept[place] is found else None
        return place if _was_made_by(found, sys.modules.get(place[0] or "")) else None

    def find(self, place: tuple[str, str]) -> Any:
        """The original, whatever is in its place now."""
        if place in self._kept:
            return self._kept[place]
        __import__(place[0])
        found: Any = sys.modules[place[0]]
        for name in place[1].split("."):
            found = vars(found)[name] if isinstance(found, type) else getattr(found, name)
        return found


def _was_made_by(found: Any, module: Any) -> bool:
    """Whether the code of a module made this, and not a cell in its name."""
    if isinstance(found, types.FunctionType):
        return found.__globals__ is vars(module) and found.__code__.co_filename == getattr(
            module, "__file__", None
        )
    if isinstance(found, types.BuiltinFunctionType):
        return found.__self__ is module
    return False


originals = Originals()
"""Those of this process."""


def original(module: str, path: str) -> Any:
    """An original by its place."""
    return originals.find((module, path))


def reduce_original(found: Any) -> Any:
    """The reduction of an original that was displaced, None for anything else."""
    place = originals.place_of(found)
    return (original, place) if place is not None else None
