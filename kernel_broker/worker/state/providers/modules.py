"""Data of the user's own modules: another process imports them anew, and would start from their files."""

import importlib
import itertools
import sys
import types
from pathlib import Path
from typing import Any

from kernel_broker.worker.state.carried import LONGEST, Source, carried, is_users
from kernel_broker.worker.state.pickling.modules import find_home
from kernel_broker.worker.state.providers.contract import Provider

_DATA = (type(None), bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset)


class Imported:
    """The user's own modules that were imported since a process was fresh."""

    def __init__(self) -> None:
        self._known = set(sys.modules)
        self._seen = _signs()
        self._names: list[str] = []

    def modules(self) -> list[tuple[str, Any]]:
        """Those that are still there, by name."""
        if self._seen != (signs := _signs()):
            self._seen = signs
            fresh = {name: module for name, module in sys.modules.copy().items() if name not in self._known}
            self._known.update(fresh)
            self._names += [name for name, module in fresh.items() if is_users(module)]
        return [(name, sys.modules[name]) for name in self._names if sys.modules.get(name) is not None]


def _signs() -> tuple[Any, ...]:
    """What tells that modules were imported: a look at all would make every page of a fork its own."""
    return len(sys.modules), *itertools.islice(reversed(sys.modules), 8)


class ModuleSources(Provider):
    """Sources of modules that were imported from the user's folders: another machine may not have them."""

    name = "sources"
    paged = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._imported = Imported()
        self._found: dict[str, tuple[Any, Source | None]] = {}
        if carried not in sys.meta_path:
            sys.meta_path.append(carried)

    def collect(self) -> Any:
        """A page for each module, the same object until the module is imported anew."""
        for name, module in self._imported.modules():
            spec = getattr(module, "__spec__", None)
            if name not in self._found or self._found[name][0] is not spec:
                self._found[name] = (spec, _source(module) if is_users(module) else None)
        return {name: source for name, (_, source) in self._found.items() if source is not None} or None

    def apply(self, value: dict[str, Source]) -> None:
        """Have them at hand."""
        carried.sources.update(value)


def _source(module: Any) -> Source | None:
    known = carried.sources.get(module.__name__)
    path = Path(module.__spec__.origin)
    try:
        if path.stat().st_size > LONGEST:
            return None
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return known
    return Source(str(path), text, hasattr(module, "__path__"))


class ModuleData(Provider):
    """Plain values, and functions of the notebook, in modules that were imported from the user's folders."""

    name = "modules"
    in_graph = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._imported = Imported()

    def collect(self) -> Any:
        """Values by module and name."""
        found = {
            name: {key: value for key, value in vars(module).items() if _is_data(key, value)}
            for name, module in self._imported.modules()
        }
        return {name: found[name] for name in sorted(found)} or None

    def apply(self, value: dict[str, Any]) -> None:
        """Import the modules and set the values."""
        missing = []
        for name, values in value.items():
            try:
                _set(vars(importlib.import_module(name)), values)
            except Exception:
                missing.append(name)
        if missing:
            raise ImportError(f"cannot import {', '.join(missing)}")


def _set(space: dict[str, Any], values: dict[str, Any]) -> None:
    for name in [name for name, value in space.items() if name not in values and _is_data(name, value)]:
        del space[name]  # its file has it by now
    space.update(values)


def _is_data(name: str, value: Any) -> bool:
    if name.startswith("__") and name.endswith("__"):
        return False
    if isinstance(value, types.FunctionType):
        return value.__module__ == "__main__" and find_home(value) is None
    return type(value) in _DATA
