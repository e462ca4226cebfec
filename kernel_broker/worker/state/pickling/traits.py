"""Objects with traits: whole, with the observers that pickle would leave out."""

import sys
from typing import Any

from kernel_broker.worker.state.pickling.live import parts_of
from kernel_broker.worker.state.pickling.modules import find_home


def reduce_traits(pickler: Any, found: Any) -> Any:
    """One that every fresh shell has by its name, any other with all that its `__dict__` holds."""
    name = pickler.live.part_name(found)
    if name is not None:
        return own_part, (name,)
    return new_bare, (type(found),), vars(found), None, None, fill_bare


def reduce_handler(_pickler: Any, handler: Any) -> Any:
    """An observer that a class declares: the class's own."""
    owner, name = getattr(handler, "this_class", None), getattr(handler, "name", None)
    if not isinstance(owner, type) or not isinstance(name, str) or find_home(owner) is None:
        return NotImplemented  # its class brings it along
    if vars(owner).get(name) is handler:
        return class_attribute, (owner, name)
    return NotImplemented


def reduce_sentinel(_pickler: Any, sentinel: Any) -> Any:
    """The one of its module: notifiers are found by it."""
    home, name = sys.modules.get(sentinel.module), sentinel.name
    if getattr(home, name, None) is sentinel:
        return getattr, (home, name)
    return NotImplemented


def class_attribute(owner: type, name: str) -> Any:
    """What a class has under a name, as it is there."""
    return vars(owner)[name]


def own_part(name: str) -> Any:
    """A part of this process's shell."""
    shell = sys.modules["IPython"].get_ipython()
    return next(part for part in parts_of(shell) if type(part).__name__ == name)


def new_bare(kind: Any) -> Any:
    """An instance without attributes, whatever its class would have put in."""
    return object.__new__(kind)


def fill_bare(found: Any, attributes: dict[str, Any]) -> None:
    """Give it its attributes, past any `__setattr__`."""
    object.__getattribute__(found, "__dict__").update(attributes)


def reduce_whole(_pickler: Any, found: Any) -> Any:
    """An object whose own way of pickling would part it from what it shares."""
    return new_bare, (type(found),), vars(found), None, None, fill_bare
