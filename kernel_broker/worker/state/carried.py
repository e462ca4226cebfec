"""The user's own modules, carried along: imported from the session where their files are not there."""

import importlib.abc
import importlib.machinery
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

LONGEST = 2**20
"""Bytes of a source that is carried."""

_INSTALLED = tuple({sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()})


@dataclass(frozen=True)
class Source:
    """A module's text, where it was, and whether it is a package."""

    path: str
    text: str
    package: bool


class CarriedLoader(importlib.abc.InspectLoader):
    """Loads one module from its source."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def get_source(self, fullname: str) -> str:  # noqa: ARG002
        """The text, for tracebacks and `inspect` too."""
        return self.source.text

    def is_package(self, fullname: str) -> bool:  # noqa: ARG002
        """Whether it has modules inside."""
        return self.source.package

    def get_code(self, fullname: str) -> CodeType:
        """The code, under the name that its file had."""
        return self.source_to_code(self.get_source(fullname), self.source.path)


class CarriedModules(importlib.abc.MetaPathFinder):
    """Asked after all other finders: a file that is there is the better source."""

    def __init__(self) -> None:
        self.sources: dict[str, Source] = {}

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A module that the session had."""
        source = self.sources.get(fullname)
        if source is None:
            return None
        spec = importlib.machinery.ModuleSpec(fullname, CarriedLoader(source), origin=source.path)
        spec.has_location = True
        if source.package:
            spec.submodule_search_locations = [str(Path(source.path).parent)]
        return spec


carried = CarriedModules()
"""Those of this process."""


def is_carried(module: Any) -> bool:
    """Whether a module came with the session."""
    return type(getattr(getattr(module, "__spec__", None), "loader", None)) is CarriedLoader


def is_users(module: Any) -> bool:
    """Whether a module is a Python file of the user's, not one of the installation."""
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    return isinstance(origin, str) and origin.endswith(".py") and not origin.startswith(_INSTALLED)
