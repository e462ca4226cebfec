"""What stands in the place of an object that could not be carried to this process."""

from typing import Any, NoReturn

from kernel_broker.worker.state.delta import Pin


class StateLost(RuntimeError):
    """An object that could not be carried along was used after its session moved to another process.

    `from kernel_broker.worker.state.tombstone import StateLost` to catch it by name; it is a RuntimeError.
    """


class Tombstone:
    """Stands for a lost object. It can be passed on, stored, hashed, shown; all else raises StateLost."""

    __slots__ = ("__weakref__", "_pin", "_why")

    def __init__(self, name: str, type_name: str, reason: str, cell: int | None) -> None:
        object.__setattr__(self, "_pin", Pin(name, type_name, reason, cell))
        object.__setattr__(self, "_why", "")

    def __reduce_ex__(self, _protocol: Any) -> tuple[Any, ...]:
        pin = pin_of(self)
        return (Tombstone, (pin.name, pin.type, pin.reason, pin.cell))

    def __repr__(self) -> str:
        return f"<lost: {describe(pin_of(self))}>"

    def __getattribute__(self, name: str) -> Any:
        if name in _ALLOWED:
            return object.__getattribute__(self, name)
        if name.startswith(("_repr_", "_ipython_")):  # what a display asks for before it shows the repr
            raise AttributeError(name)
        return _raise(self)


_ALLOWED = frozenset(
    {"__class__", "__reduce_ex__", "__reduce__", "__repr__", "__hash__", "__doc__", "__module__"}
)


def pin_of(tombstone: Tombstone) -> Pin:
    """What a tombstone stands for."""
    pin: Pin = object.__getattribute__(tombstone, "_pin")
    return pin


def rename(tombstone: Tombstone, name: str, kind: str | None = None) -> None:
    """Have a tombstone say another name; and another type, if it knows none."""
    pin = pin_of(tombstone)
    known = pin.type if kind is None or pin.type != "object" else kind
    object.__setattr__(tombstone, "_pin", Pin(name, known, pin.reason, pin.cell))


def explain(tombstone: Tombstone, why: str) -> None:
    """Say in its errors why it was not made again; holds in this process."""
    object.__setattr__(tombstone, "_why", why)


def describe(pin: Pin) -> str:
    """The loss in words."""
    made = f" made in cell [{pin.cell}]" if pin.cell else ""
    again = f"re-run cell {pin.cell}" if pin.cell else "make it again"
    return f"'{pin.name}': {pin.type}{made} {pin.reason}; {again}"


def _raise(self: Tombstone, *_: Any, **__: Any) -> NoReturn:
    why = object.__getattribute__(self, "_why")
    raise StateLost(describe(pin_of(self)) + (f" (not made again: {why})" if why else ""))


_OPERATIONS = """
    call bool len iter next contains getitem setitem delitem reversed missing length_hint
    str bytes format index int float complex round trunc floor ceil fspath
    enter exit aenter aexit await aiter anext mro_entries
    eq ne lt le gt ge neg pos abs invert setattr delattr dir instancecheck subclasscheck
    add radd iadd sub rsub isub mul rmul imul matmul rmatmul imatmul truediv rtruediv itruediv
    floordiv rfloordiv ifloordiv mod rmod imod divmod rdivmod pow rpow ipow lshift rlshift ilshift
    rshift rrshift irshift and rand iand xor rxor ixor or ror ior
"""

for _operation in _OPERATIONS.split():
    setattr(Tombstone, f"__{_operation}__", _raise)
Tombstone.__hash__ = object.__hash__  # type: ignore[method-assign]
