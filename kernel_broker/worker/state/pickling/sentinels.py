"""Objects that only stand for something, and that code tests with `is`: libraries have one of each.

`dataclasses.MISSING` is one: a class whose fields had a copy of it would be given other defaults.
"""

import sys
from typing import Any

from kernel_broker.worker.state.pickling.modules import is_static


def is_of_sentinels(kind: type) -> bool:
    """Whether instances of a type hold nothing, and say nothing of how they are pickled."""
    if any(getattr(kind, name) is not getattr(object, name) for name in ("__reduce__", "__reduce_ex__")):
        return False
    if hasattr(kind, "__getnewargs__") or hasattr(kind, "__getnewargs_ex__"):
        return False
    if kind.__flags__ & _HEAP_TYPE == 0 or any(vars(base).get("__slots__") for base in kind.__mro__):
        return False
    return any(type(value) is kind for value in _globals_of(kind).values())


def reduce_sentinel(_pickler: Any, found: Any) -> Any:
    """By the name that its module has for it; a namesake of the user's in pickle's own way."""
    if getattr(found, "__dict__", None):
        return NotImplemented
    kind = type(found)
    for name, value in _globals_of(kind).items():
        if value is found:
            return _module_attribute, (kind.__module__, name)
    return NotImplemented


def _globals_of(kind: type) -> dict[str, Any]:
    name = kind.__module__
    module = sys.modules.get(name) if isinstance(name, str) else None
    return dict(vars(module)) if module is not None and is_static(module, name) else {}


def _module_attribute(module: str, name: str) -> Any:
    __import__(module)
    return getattr(sys.modules[module], name)


_HEAP_TYPE = 1 << 9
"""`Py_TPFLAGS_HEAPTYPE`: written in Python, so that nothing is hidden in C."""
