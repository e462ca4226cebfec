"""What is shown of a variable without its value: type, and a word on its contents. Runs no user code."""

import sys
from typing import Any

from kernel_broker.worker.state.pickling.losses import type_name
from kernel_broker.worker.state.tombstone import Tombstone, pin_of

_SHOWN = 60
_PLAIN = {kind: kind.__name__ for kind in (type(None), bool, int, float, complex, str, bytes)}
_SIZED = {kind: kind.__name__ for kind in (list, tuple, dict, set, frozenset, bytearray)}
_NAMES = _PLAIN | _SIZED


def preview(value: Any) -> str:
    """A short text; empty where nothing can be said cheaply."""
    kind = type(value)
    if kind in _PLAIN:
        return _short(value)
    if kind in _SIZED:
        return f"{len(value)} items"
    if kind.__module__.partition(".")[0] in ("numpy", "pandas") and kind.__module__ in sys.modules:
        return _shape(value)
    return ""


def describe(name: str, value: Any, cell: int | None) -> tuple[str, str, str, int | None]:
    """Name, type, preview, and the cell that made it."""
    kind = type(value)
    if kind is Tombstone:
        lost = pin_of(value)
        return name, lost.type, "lost", lost.cell
    return name, _NAMES.get(kind) or type_name(kind), preview(value), cell


def _short(value: Any) -> str:
    if isinstance(value, str | bytes) and len(value) > _SHOWN:
        return f"{value[: _SHOWN - 4]!r}…"
    if type(value) is int and value.bit_length() > 200:
        return f"{value.bit_length()} bits"
    return repr(value)


def _shape(value: Any) -> str:
    try:
        shape = "×".join(map(str, value.shape))
        dtype = getattr(value, "dtype", None)
    except Exception:
        return ""
    return f"{shape} {dtype}" if dtype is not None else shape
