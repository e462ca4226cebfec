"""Classes by value: built bare, without re-running the hooks that ran when they were defined, then filled."""

import abc
import contextlib
import copyreg
import enum
import types
import typing
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from kernel_broker.worker.state.loading import born
from kernel_broker.worker.state.pickling.modules import find_home

_SINGLETON_TYPES: dict[type, Any] = {
    type(None): None,
    type(Ellipsis): Ellipsis,
    type(NotImplemented): NotImplemented,
}
_BUILTIN_TYPES = {kind: name for name, kind in vars(types).items() if isinstance(kind, type)}
_SAMPLES: tuple[Any, ...] = (
    *(
        {}.keys(),
        {}.values(),
        {}.items(),
        OrderedDict().keys(),
        OrderedDict().values(),
        OrderedDict().items(),
    ),
    *map(iter, ([], (), {}, set(), range(0), "", b"", bytearray(), {}.values(), {}.items())),
    *(iter(int, 1), reversed([]), reversed({})),
)
_NAMELESS: dict[type, int] = {type(sample): number for number, sample in enumerate(_SAMPLES)}
"""Types that no module has: found by the number of an instance. Numbers are part of the format."""

_HEAP = 1 << 9
"""Set in `__flags__` of classes made at run time."""

_AT_BIRTH = ("__module__", "__qualname__", "__orig_bases__")
_MADE_ELSEWHERE = frozenset(
    {"__slotnames__", "__dict__", "__weakref__", "_abc_impl", "__module__", "__static_attributes__"}
)
"""Written by the interpreter: while pickling, at creation, or for caches."""

_made: "weakref.WeakSet[type]" = weakref.WeakSet()
"""Classes that were loaded by value in this process."""


def reduce_class(pickler: Any, cls: type) -> Any:
    """By name where its module has it, else by value."""
    if cls in _SINGLETON_TYPES:
        return type, (_SINGLETON_TYPES[cls],)
    home = pickler.home_of(cls)
    if home is not None:
        pickler.note_module(home[0])
        return NotImplemented
    if not cls.__flags__ & _HEAP:
        return _reduce_nameless(pickler, cls)
    if "__mapper__" in vars(cls) and "__table__" in vars(cls):
        return pickler.losses.tombstone(cls, "is known to live registries of its library")
    return pickler.define(cls, _reduce_by_value)


def _reduce_by_value(_pickler: Any, cls: type, uid: str) -> Any:
    arguments = (type(cls), cls.__name__, cls.__bases__, _birth(cls), uid, _members(cls))
    return new_class, arguments, _state(cls), None, None, fill_class


def _reduce_nameless(pickler: Any, cls: type) -> Any:
    if cls in _BUILTIN_TYPES:
        return getattr, (types, _BUILTIN_TYPES[cls])
    if cls in _NAMELESS:
        return nameless, (_NAMELESS[cls],)
    return pickler.losses.tombstone(cls, "is a C type that no module has")


def nameless(number: int) -> type:
    """The type of a sample."""
    return type(_SAMPLES[number])


def _birth(cls: type) -> dict[str, Any]:
    namespace = {name: vars(cls)[name] for name in _AT_BIRTH if name in vars(cls)}
    namespace["__qualname__"] = cls.__qualname__
    if "__slots__" in vars(cls):
        slots = [name for name, value in vars(cls).items() if _is_own(cls, value, types.MemberDescriptorType)]
        slots += [name for name in ("__dict__", "__weakref__") if name in vars(cls)]
        namespace["__slots__"] = tuple(slots)
    return namespace


def _is_own(cls: type, value: Any, kind: type) -> bool:
    return type(value) is kind and getattr(value, "__objclass__", None) is cls


def _state(cls: type) -> dict[str, Any]:
    state = {}
    members = vars(cls).get("_member_map_", {}) if issubclass(cls, enum.Enum) else {}
    for name, value in vars(cls).items():
        if name in _MADE_ELSEWHERE or _is_own(cls, value, types.MemberDescriptorType):
            continue
        if _is_own(cls, value, types.GetSetDescriptorType) or name == "__orig_bases__":
            continue
        state[name] = value
    if members:
        map_ = {value: member for value, member in cls._value2member_map_.items() if member.name in members}  # type: ignore[attr-defined]
        state["_value2member_map_"] = map_
        return {"attributes": state, "members": [(member, vars(member)) for member in _canonical(members)]}
    registered = [ref() for ref in abc._get_dump(cls)[0]] if isinstance(cls, abc.ABCMeta) else []  # type: ignore[attr-defined]
    return {"attributes": state, "registered": [found for found in registered if found is not None]}


def _canonical(members: dict[str, Any]) -> list[Any]:
    return list({id(member): member for member in members.values()}.values())


def _members(cls: type) -> list[tuple[str, tuple[Any, ...]]] | None:
    """Names of an enumeration's members, and what makes them, which are made with their class."""
    if not issubclass(cls, enum.Enum) or "_member_map_" not in vars(cls):
        return None
    kind: Any = vars(cls)["_member_type_"]
    return [(member._name_, _payload(kind, member)) for member in _canonical(cls._member_map_)]


def _payload(kind: Any, member: Any) -> tuple[Any, ...]:
    """What makes the C part of a member."""
    own = getattr(kind, "__getnewargs__", None)
    if own is not None:
        return tuple(own(member))
    value = member._value_
    if type(value) is kind:
        make, arguments = value.__reduce_ex__(5)[:2]
        return tuple(arguments[1:] if make is copyreg.__newobj__ else arguments)  # type: ignore[attr-defined]
    return value if isinstance(value, tuple) else (value,)


def reduce_enum_member(_pickler: Any, member: enum.Enum) -> Any:
    """A member is the one its class made."""
    cls = type(member)
    if find_home(cls) is not None or cls._member_map_.get(member._name_) is not member:
        return NotImplemented
    return enum_member, (cls, member._name_)


def enum_member(cls: type[enum.Enum], name: str) -> enum.Enum:
    """The member of that name."""
    return cls._member_map_[name]


def new_class(
    meta: type,
    name: str,
    bases: tuple[type, ...],
    namespace: dict[str, Any],
    uid: str,
    members: list[tuple[str, tuple[Any, ...]]] | None,
) -> type:
    """A class without its attributes, which `fill_class` gives it; one that exists already is that one."""

    def make() -> type:
        cls = _bare_class(meta, name, bases, namespace)
        _made.add(cls)
        if members is not None:
            _make_members(cls, members)
        return cls

    made: type = born(uid, make)
    return made


def _bare_class(meta: type, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
    maker = abc.ABCMeta if issubclass(meta, abc.ABCMeta) else type
    if meta is type and bases == (object,):
        return type(name, bases, dict(namespace))
    lineage = list(dict.fromkeys(ancestor for base in bases for ancestor in base.__mro__))
    try:
        with _masked([cls for cls in lineage if cls in _made]):
            return maker.__new__(meta, name, bases, dict(namespace))
    except TypeError:
        with _masked([cls for cls in lineage if cls.__flags__ & _HEAP]):  # every class that is not a C one
            try:
                return maker.__new__(meta, name, bases, dict(namespace))
            except TypeError:
                return meta.__new__(meta, name, bases, dict(namespace))


@contextlib.contextmanager
def _masked(classes: list[type]) -> Iterator[None]:
    """Take the `__init_subclass__` of some classes away for a moment."""
    hooks = [(cls, vars(cls)["__init_subclass__"]) for cls in classes if "__init_subclass__" in vars(cls)]
    taken = []
    try:
        for cls, hook in hooks:
            with contextlib.suppress(TypeError):
                type.__delattr__(cls, "__init_subclass__")
                taken.append((cls, hook))
        yield
    finally:
        for cls, hook in taken:
            type.__setattr__(cls, "__init_subclass__", hook)


def _make_members(cls: type, members: list[tuple[str, tuple[Any, ...]]]) -> None:
    map_ = {}
    for name, plain in members:
        kind: Any = next(base for base in cls.__mro__ if not base.__flags__ & _HEAP)
        map_[name] = object.__new__(cls) if kind is object else kind.__new__(cls, *plain)
    type.__setattr__(cls, "_member_map_", map_)


def fill_class(cls: type, state: dict[str, Any]) -> None:
    """Give a class its attributes, its members, and the classes that were registered with it."""
    for member, attributes in state.get("members", ()):
        vars(member).update(attributes)
    for name, value in state["attributes"].items():
        try:
            type.__setattr__(cls, name, value)
        except (TypeError, AttributeError):
            setattr(cls, name, value)
    for registered in state.get("registered", ()):
        abc.ABCMeta.register(cls, registered)  # type: ignore[arg-type]


def reduce_typevar(_pickler: Any, variable: Any) -> Any:
    """A type variable, which is not a class but is as much itself as one."""
    if find_home(variable, variable.__name__) is not None:
        return NotImplemented
    arguments = (
        variable.__constraints__,
        variable.__bound__,
        variable.__covariant__,
        variable.__contravariant__,
    )
    return new_typevar, (variable.__name__, *arguments), (variable.__module__,), None, None, fill_typevar


def new_typevar(
    name: str, constraints: tuple[Any, ...], bound: Any, covariant: bool, contravariant: bool
) -> Any:
    """A type variable."""
    return typing.TypeVar(name, *constraints, bound=bound, covariant=covariant, contravariant=contravariant)


def fill_typevar(variable: Any, state: tuple[Any, ...]) -> None:
    """Give it its home."""
    with contextlib.suppress(AttributeError, TypeError):
        variable.__module__ = state[0]
