"""Data of the user's own modules: another process imports them anew, and would start from their files."""

import importlib
import sys
import sysconfig
import types
from typing import Any

from kernel_broker.worker.state.pickling.modules import find_home
from kernel_broker.worker.state.providers.contract import Provider

_DATA = (type(None), bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset)
_INSTALLED = tuple({sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()})


class ModuleData(Provider):
    """Plain values, and functions of the notebook, in modules that were imported from the user's folders."""

    name = "modules"
    in_graph = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._pristine = set(sys.modules)
        self._own: dict[str, bool] = {}

    def collect(self) -> Any:
        """Values by module and name."""
        found = {}
        for name in sys.modules.keys() - self._pristine:
            module = sys.modules.get(name)
            if name not in self._own:
                self._own[name] = _is_users(module)
            if self._own[name]:
                found[name] = {key: value for key, value in vars(module).items() if _is_data(key, value)}
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


def _is_users(module: Any) -> bool:
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    return isinstance(origin, str) and origin.endswith(".py") and not origin.startswith(_INSTALLED)


def _is_data(name: str, value: Any) -> bool:
    if name.startswith("__") and name.endswith("__"):
        return False
    if isinstance(value, types.FunctionType):
        return value.__module__ == "__main__" and find_home(value) is None
    return type(value) in _DATA
