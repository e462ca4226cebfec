"""Functions by value: bound to the live namespace, with their closure cells shared as they were."""

import gc
import marshal
import sys
import types
from typing import Any

from cloudpickle import cloudpickle

from kernel_broker.worker.state.loading import born

_MARSHAL = 2
"""A version without back references: the same code always gives the same bytes."""

_ATTRIBUTES = ("__defaults__", "__kwdefaults__", "__doc__", "__module__", "__qualname__", "__annotations__")


class ModuleGlobals:
    """Stands for the globals of a module in a stream, where the dict itself would be written out."""

    def __init__(self, module: types.ModuleType) -> None:
        self.module = module

    def __reduce__(self) -> tuple[Any, ...]:
        return vars, (self.module,)


def reduce_function(pickler: Any, function: types.FunctionType) -> Any:
    """By name where its module has it, else by value."""
    home = pickler.home_of(function)
    if home is not None:
        pickler.note_module(home[0])
        return NotImplemented
    if pickler.definitions.holds(function):
        return pickler.define(function, _reduce_by_value)
    return _reduce_by_value(pickler, function, None)


def _reduce_by_value(pickler: Any, function: types.FunctionType, uid: str | None) -> Any:
    pickler.note_code(function.__code__)
    cells = function.__closure__
    owned = [cell for cell in cells or () if pickler.own_cell(cell)]
    state = (
        [(cell, *_contents(cell)) for cell in owned],
        tuple(getattr(function, name) for name in _ATTRIBUTES),
        function.__dict__ or None,
    )
    arguments = (function.__code__, _globals_token(pickler, function), function.__name__, cells, uid)
    return new_function, arguments, state, None, None, fill_function


def _globals_token(pickler: Any, function: types.FunctionType) -> Any:
    namespace = function.__globals__
    if namespace is pickler.namespace:
        return namespace
    return pickler.module_globals(namespace, lambda: _module_of(namespace))


def _module_of(namespace: dict[str, Any]) -> types.ModuleType | None:
    module = sys.modules.get(namespace.get("__name__", ""))
    if isinstance(module, types.ModuleType) and vars(module) is namespace:
        return module
    if "__loader__" not in namespace or "__spec__" not in namespace:
        return None
    holders = gc.get_referrers(namespace)  # slow, but only asked for modules that nobody can import
    return next((it for it in holders if isinstance(it, types.ModuleType) and vars(it) is namespace), None)


def _contents(cell: types.CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:
        return ()


def new_function(
    code: types.CodeType,
    namespace: dict[str, Any],
    name: str,
    cells: tuple[types.CellType, ...] | None,
    uid: str | None = None,
) -> types.FunctionType:
    """A function without its state."""
    if uid is None:
        return types.FunctionType(code, namespace, name, None, cells)
    made: types.FunctionType = born(uid, lambda: types.FunctionType(code, namespace, name, None, cells))
    return made


def fill_function(function: types.FunctionType, state: tuple[Any, ...]) -> None:
    """Give a function its state, and the cells that it brought along their contents."""
    cells, attributes, extra = state
    for cell, *contents in cells:
        if contents:
            cell.cell_contents = contents[0]
    (
        function.__defaults__,
        function.__kwdefaults__,
        function.__doc__,
        function.__module__,
        function.__qualname__,
        function.__annotations__,
    ) = attributes  # in the order of `_ATTRIBUTES`
    if extra:
        function.__dict__.update(extra)


def reduce_cell(pickler: Any, cell: types.CellType) -> Any:
    """An empty cell; its contents come with it unless a function brings them."""
    if pickler.own_cell(cell):
        return new_cell, (), _contents(cell), None, None, fill_cell
    return new_cell, ()


def new_cell() -> types.CellType:
    """An empty cell."""
    return types.CellType()


def fill_cell(cell: types.CellType, contents: tuple[Any, ...]) -> None:
    """Put the contents in, if there are any."""
    if contents:
        cell.cell_contents = contents[0]


def reduce_code(pickler: Any, code: types.CodeType) -> Any:
    """Marshalled; member by member if an odd constant is in it."""
    pickler.note_code(code)
    try:
        return load_code, (marshal.dumps(code, _MARSHAL),)
    except ValueError:
        return cloudpickle._code_reduce(code)


def load_code(data: bytes) -> types.CodeType:
    """The code object again."""
    code: types.CodeType = marshal.loads(data)
    return code


def reduce_method(_pickler: Any, method: types.MethodType) -> Any:
    """A bound method: the function and the object, so that `__self__` stays the object."""
    return types.MethodType, (method.__func__, method.__self__)


def reduce_builtin(_pickler: Any, function: types.BuiltinFunctionType) -> Any:
    """A C function: by its module, or by the object it is bound to."""
    owner = function.__self__
    if owner is None or isinstance(owner, types.ModuleType):
        return NotImplemented
    return getattr, (owner, function.__name__)
