"""C libraries and their functions, as ctypes has them: loaded again by name."""

import ctypes
import operator
from typing import Any

from kernel_broker.worker.state.pickling import classes
from kernel_broker.worker.state.pickling.modules import find_home


def reduce_library(_pickler: Any, library: Any) -> Any:
    """A library with the functions that were asked for."""
    functions = [
        (name, *_signature(found))
        for name, found in vars(library).items()
        if isinstance(found, library._FuncPtr)
    ]
    return new_library, (type(library), library._name), functions, None, None, fill_library


def _signature(function: Any) -> tuple[Any, ...]:
    return getattr(function, "restype", None), getattr(function, "argtypes", None)


def reduce_array_type(pickler: Any, kind: Any) -> Any:
    """`c_int * 3` and the like, which no module has."""
    if hasattr(kind, "_type_") and kind._type_ * kind._length_ is kind:
        return operator.mul, (kind._type_, kind._length_)
    return classes.reduce_class(pickler, kind)


def reduce_pointer_type(pickler: Any, kind: Any) -> Any:
    """`POINTER(c_int)` and the like."""
    if hasattr(kind, "_type_") and ctypes.POINTER(kind._type_) is kind:
        return ctypes.POINTER, (kind._type_,)
    return classes.reduce_class(pickler, kind)


_AT_BIRTH = ("__module__", "__qualname__", "__doc__", "_pack_", "_anonymous_", "_swappedbytes_")
_MADE_BY_C = frozenset({"__dict__", "__weakref__", "__slotnames__", "_fields_"})


def reduce_structure_type(pickler: Any, kind: Any) -> Any:
    """A structure or union: its fields make the rest."""
    if not kind.__flags__ & (1 << 9) or find_home(kind) is not None:
        return classes.reduce_class(pickler, kind)
    space = vars(kind)
    birth = {name: space[name] for name in _AT_BIRTH if name in space}
    rest = {
        name: value
        for name, value in space.items()
        if name not in _MADE_BY_C and name not in birth and type(value).__name__ != "CField"
    }
    state = [space.get("_fields_"), rest]
    return new_structure, (kind.__name__, kind.__bases__, birth), state, None, None, fill_structure


def new_structure(name: str, bases: tuple[type, ...], birth: dict[str, Any]) -> Any:
    """A structure without its fields."""
    return type(bases[0])(name, bases, birth)


def fill_structure(kind: Any, state: list[Any]) -> None:
    """Give a structure its fields, and what else was defined in it."""
    fields, rest = state
    if fields is not None:
        kind._fields_ = fields
    for name, value in rest.items():
        setattr(kind, name, value)


def new_library(kind: Any, name: str | None) -> Any:
    """The library, loaded in this process."""
    return kind(name)


def fill_library(library: Any, functions: list[tuple[Any, ...]]) -> None:
    """Say again what its functions take and give."""
    for name, result, arguments in functions:
        function = getattr(library, name)
        function.restype = result
        if arguments is not None:
            function.argtypes = arguments


def reduce_function(pickler: Any, function: Any) -> Any:
    """A function of a library; one made of a Python function, or of an address, is lost."""
    library = (function._objects or {}).get("0")
    name = getattr(function, "__name__", None)
    if isinstance(library, ctypes.CDLL) and isinstance(name, str):
        if vars(library).get(name) is function:
            return getattr, (library, name)
        return new_function, (library, name, *_signature(function))
    return pickler.losses.tombstone(function)


def new_function(library: Any, name: str, result: Any, arguments: Any) -> Any:
    """A function that is not the library's attribute of its name."""
    function = library[name]
    function.restype = result
    if arguments is not None:
        function.argtypes = arguments
    return function
