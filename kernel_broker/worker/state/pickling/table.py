"""Which reducer is asked for which type."""

import abc
import enum
import types
import typing
from collections.abc import Callable
from typing import Any

from kernel_broker.worker.state.pickling import arrays, classes, denied, functions, modules

Reducer = Callable[[Any, Any], Any]


def _reduce_property(_pickler: Any, found: property) -> Any:
    return type(found), (found.fget, found.fset, found.fdel, found.__doc__)


def _reduce_wrapped_method(_pickler: Any, found: Any) -> Any:
    return type(found), (found.__func__,)


def _reduce_descriptor(_pickler: Any, found: Any) -> Any:
    return getattr, (found.__objclass__, found.__name__)


EXACT: dict[type, Reducer | None] = {
    types.FunctionType: functions.reduce_function,
    types.CellType: functions.reduce_cell,
    types.CodeType: functions.reduce_code,
    types.MethodType: functions.reduce_method,
    types.BuiltinFunctionType: functions.reduce_builtin,
    types.ModuleType: modules.reduce_module,
    types.GetSetDescriptorType: _reduce_descriptor,
    types.MemberDescriptorType: _reduce_descriptor,
    types.MethodDescriptorType: _reduce_descriptor,
    types.WrapperDescriptorType: _reduce_descriptor,
    property: _reduce_property,
    staticmethod: _reduce_wrapped_method,
    classmethod: _reduce_wrapped_method,
    abc.abstractproperty: _reduce_property,
    typing.TypeVar: classes.reduce_typevar,
}
"""Reducers of instances of exactly these types."""

BASES: dict[type, Reducer] = {
    type: classes.reduce_class,
    enum.Enum: classes.reduce_enum_member,
    types.ModuleType: modules.reduce_module,
    property: _reduce_property,
}
"""Reducers of instances of these types and of all derived from them."""

NAMED: dict[str, Reducer] = {"numpy.ndarray": arrays.reduce_array}
"""Reducers of instances of exactly the types of these names: their modules may never be imported."""


def reducer_for(kind: type) -> Reducer | None:
    """The reducer for a type, None if pickle's own way is right."""
    if kind in EXACT:
        return EXACT[kind]
    named = NAMED.get(f"{kind.__module__}.{kind.__qualname__}")
    if named is not None:
        return named
    refusal = denied.refusal_for(kind)
    if refusal is not None:
        return refusal
    return next((BASES[base] for base in kind.__mro__ if base in BASES), None)
