"""Views stay views of the object they show: memory, dictionary views, read-only mappings."""

import ctypes
import gc
import types
from collections import OrderedDict
from typing import Any


def reduce_memoryview(pickler: Any, view: memoryview) -> Any:
    """The same part of the same object; of one that cannot change, a copy will do."""
    try:
        owner = view.obj
    except ValueError:
        return released_view, ()
    if view.readonly and isinstance(owner, bytes):
        return new_memoryview, (bytes(view), 0, view.nbytes, view.format, view.shape, True)
    if not view.c_contiguous:
        return pickler.losses.tombstone(view, "is a view with gaps")
    whole = memoryview(owner)
    if not whole.c_contiguous or whole.readonly:
        return pickler.losses.tombstone(view, "is a view of memory that cannot be found again")
    start = _address(view) - _address(whole) if view.nbytes else 0
    return new_memoryview, (owner, start, view.nbytes, view.format, view.shape, view.readonly)


def _address(view: memoryview) -> int:
    whole = memoryview(view.obj).cast("B") if view.readonly else view.cast("B")
    return ctypes.addressof(ctypes.c_char.from_buffer(whole))


def new_memoryview(
    owner: Any, start: int, size: int, code: str, shape: tuple[int, ...], readonly: bool
) -> memoryview:
    """A view of a part of the memory of `owner`."""
    view = memoryview(owner).cast("B")[start : start + size]
    if readonly:
        view = view.toreadonly()
    if code == "B" and len(shape) == 1:
        return view
    return view.cast(code, shape) if 0 not in shape else view.cast(code)  # type: ignore[call-overload]


def released_view() -> memoryview:
    """A view that was released."""
    view = memoryview(b"")
    view.release()
    return view


def reduce_dict_view(_pickler: Any, view: Any) -> Any:
    """The keys, values or items of the dictionary itself."""
    owner = next(item for item in gc.get_referents(view) if isinstance(item, dict))
    method = type(view).__name__.rpartition("_")[2]
    kind = OrderedDict if isinstance(owner, OrderedDict) and "odict" in type(view).__name__ else dict
    return dict_view, (owner, kind, method)


def dict_view(owner: dict[Any, Any], kind: type, method: str) -> Any:
    """A view, whatever a subclass makes of the method of that name."""
    return getattr(kind, method)(owner)


def reduce_mapping_proxy(_pickler: Any, proxy: types.MappingProxyType[Any, Any]) -> Any:
    """A read-only view of the mapping, or of a class's namespace."""
    owner = gc.get_referents(proxy)[0]
    descriptor = owner.get("__dict__") if isinstance(owner, dict) else None
    if isinstance(descriptor, types.GetSetDescriptorType):
        return vars, (descriptor.__objclass__,)
    return types.MappingProxyType, (owner,)
