"""Which modules, and what is in them, another process finds again by name; and how the others are rebuilt."""

import builtins
import importlib
import sys
import types
from pathlib import Path
from typing import Any

from kernel_broker.worker.state.carried import is_carried

_STATIC: dict[int, tuple[types.ModuleType, bool]] = {}
"""Answers that cannot change while the module lives, by its id (which stays its own: the module is held)."""


def is_static(module: Any, name: str) -> bool:
    """Whether importing `name` in another process gives this module: it comes from a file, or is built in."""
    known = _STATIC.get(id(module))
    if known is not None and known[0] is module:
        return known[1]
    answer = _comes_from_file(module, name)
    if answer:
        _STATIC[id(module)] = (module, answer)
    return answer


def _comes_from_file(module: Any, name: str) -> bool:
    if name == "__main__" or sys.modules.get(name) is not module:
        return False
    spec = getattr(module, "__spec__", None)
    if spec is None:  # modules inside an extension module have none
        parent, _, _ = name.rpartition(".")
        return bool(parent) and parent in sys.modules and is_static(sys.modules[parent], parent)
    origin = getattr(spec, "origin", None)
    if origin in ("built-in", "frozen"):
        return True
    if origin is None:
        return getattr(spec, "submodule_search_locations", None) is not None  # a namespace package
    return Path(origin).exists() or is_carried(module)


def find_home(found: Any, name: str | None = None) -> tuple[str, str] | None:
    """The static module and the dotted name under which exactly this object can be had again."""
    module_name = getattr(found, "__module__", None)
    dotted = name or getattr(found, "__qualname__", None)
    if not isinstance(module_name, str) or not isinstance(dotted, str) or "<" in dotted:
        return None
    module = sys.modules.get(module_name)
    if module is None or not is_static(module, module_name):
        return None
    try:
        here: Any = module
        for part in dotted.split("."):
            here = getattr(here, part)
    except RecursionError:
        raise  # the dump is nested too deep, which says nothing about this object
    except Exception:
        return None
    return (module_name, dotted) if here is found else None


def import_module(name: str) -> Any:
    """Load a static module; `__main__` is the session's own."""
    return importlib.import_module(name)


def reduce_module(pickler: Any, module: types.ModuleType) -> Any:
    """By name, or, for a module that was made in the session, with all that is in it."""
    name = _registered_name(module)
    if name == "__main__" or (name is not None and is_static(module, name)):
        pickler.note_module(name)
        return import_module, (name,)
    pickler.note_names(("modules",))
    state = {key: value for key, value in vars(module).items() if key != "__builtins__"}
    own_name = state.get("__name__", "")  # `%run` takes it away
    return new_module, (type(module), own_name, name), state, None, None, fill_module


def _registered_name(module: types.ModuleType) -> str | None:
    name = getattr(module, "__name__", None)
    if isinstance(name, str) and sys.modules.get(name) is module:
        return name
    spec_name = getattr(getattr(module, "__spec__", None), "name", None)  # os.path calls itself posixpath
    if isinstance(spec_name, str) and sys.modules.get(spec_name) is module:
        return spec_name
    return next((key for key, value in list(sys.modules.items()) if value is module), None)


def new_module(kind: type[types.ModuleType], name: str, registered: str | None) -> types.ModuleType:
    """An empty module, found by `import` again if it was before."""
    module: types.ModuleType = kind.__new__(kind)
    types.ModuleType.__init__(module, name)
    if registered is not None:
        sys.modules[registered] = module
    return module


def fill_module(module: types.ModuleType, state: dict[str, Any]) -> None:
    """Give a module its contents."""
    vars(module).update(state)
    vars(module)["__builtins__"] = builtins
