"""Reducers for objects of the standard library that pickle refuses, or gets wrong."""

import functools
import gc
import re
import sys
import threading
import typing
import weakref
from typing import Any

from kernel_broker.worker.state.loading import at_end
from kernel_broker.worker.state.pickling.modules import find_home


def reduce_lru_cache(pickler: Any, cached: Any) -> Any:
    """An empty cache of the same kind over the same function."""
    home = find_home(cached)
    if home is not None:
        pickler.note_module(home[0])
        return cached.__qualname__
    parameters = cached.cache_parameters()
    arguments = (cached.__wrapped__, parameters["maxsize"], parameters["typed"])
    return new_lru_cache, arguments, vars(cached), None, None, fill_attributes


def new_lru_cache(function: Any, maxsize: int | None, typed: bool) -> Any:
    """The cache, still empty."""
    return functools.lru_cache(maxsize=maxsize, typed=typed)(function)


def fill_attributes(found: Any, attributes: dict[str, Any]) -> None:
    """Set the `__dict__`."""
    found.__dict__.update(attributes)


def reduce_lock(pickler: Any, lock: Any) -> Any:
    """A fresh lock for a free one; who holds a held one is in the process."""
    if repr(lock).startswith("<locked"):
        return pickler.losses.tombstone(
            lock, "is held, and its holder lives only in the process that made it"
        )
    return (threading.RLock if "RLock" in type(lock).__name__ else threading.Lock), ()


def reduce_weakref(_pickler: Any, reference: Any) -> Any:
    """A reference to the restored object; a dead one stays dead."""
    target = reference()
    if target is None:
        return dead_reference, (type(reference),)
    if isinstance(reference, weakref.WeakMethod):
        return weakref.WeakMethod, (target,)
    if type(reference) is weakref.KeyedRef:
        return weakref.KeyedRef, (target, reference.__callback__, reference.key)
    return type(reference), (target, reference.__callback__)


def dead_reference(kind: type) -> Any:
    """A reference whose object is gone."""
    if issubclass(kind, weakref.WeakMethod):
        return weakref.WeakMethod(_Gone().method)
    return weakref.ref(_Gone())


class _Gone:
    def method(self) -> None:
        """Something to refer to."""


class _GoneFunction(_Gone):
    def __call__(self) -> None:
        """Something to call."""


def reduce_proxy(_pickler: Any, proxy: Any) -> Any:
    """A proxy of the restored object."""
    try:
        target = proxy.__repr__.__self__
    except ReferenceError:
        return dead_proxy, (type(proxy) is weakref.CallableProxyType,)
    return weakref.proxy, (target, *gc.get_referents(proxy))  # it shows its callback to nobody else


def dead_proxy(of_callable: bool) -> Any:
    """A proxy whose object is gone."""
    return weakref.proxy(_GoneFunction() if of_callable else _Gone())


def reduce_weak_dict(_pickler: Any, found: Any) -> Any:
    """The live items of a weak dictionary."""
    return type(found), (), [list(found.items())], None, None, fill_mapping


def fill_mapping(found: Any, state: list[Any]) -> None:
    """Put the items in."""
    found.update(state[0])


def reduce_weak_set(_pickler: Any, found: Any) -> Any:
    """The live members of a weak set."""
    members = list({id(item): item for item in found}.values())
    return type(found), (), [members], None, None, fill_mapping


def reduce_finalizer(_pickler: Any, found: Any) -> Any:
    """A finalizer of the restored object, or one that has run."""
    alive = found.peek()
    if alive is None:
        return dead_finalizer, ()
    target, function, arguments, keywords = alive
    return new_finalizer, (target, function, arguments, keywords or {}, found.atexit)


def new_finalizer(target: Any, function: Any, arguments: Any, keywords: Any, atexit: bool) -> Any:
    """A finalizer."""
    made = weakref.finalize(target, function, *arguments, **keywords)
    made.atexit = atexit
    return made


def dead_finalizer() -> Any:
    """A finalizer that has run."""
    made = weakref.finalize(threading.current_thread(), int)
    made.detach()
    return made


def reduce_struct(_pickler: Any, found: Any) -> Any:
    """By its format."""
    return type(found), (found.format,)


def reduce_system_random(_pickler: Any, found: Any) -> Any:
    """A generator without a state."""
    return type(found), ()


def reduce_new_type(_pickler: Any, found: Any) -> Any:
    """A type for checkers, by its module where that has it."""
    home = find_home(found)
    if home is not None:
        return getattr, (sys.modules[home[0]], home[1])
    return typing.NewType, (found.__name__, found.__supertype__), vars(found), None, None, fill_attributes


def reduce_match(pickler: Any, match: Any) -> Any:
    """A match, found again the way that gives the same one."""
    for way in ("search", "match", "fullmatch"):
        again = getattr(match.re, way)(match.string, match.pos, match.endpos)
        if again is not None and again.regs == match.regs:
            return match_again, (match.re, way, match.string, match.pos, match.endpos)
    for index, again in enumerate(match.re.finditer(match.string, match.pos, match.endpos)):
        if again.regs == match.regs:
            return found_again, (match.re, match.string, match.pos, match.endpos, index)
    return pickler.losses.tombstone(match, "cannot be found again in its string")


def match_again(pattern: re.Pattern[Any], way: str, text: Any, start: int, end: int) -> Any:
    """The match at that place."""
    return getattr(pattern, way)(text, start, end)


def found_again(pattern: re.Pattern[Any], text: Any, start: int, end: int, index: int) -> Any:
    """The match that `finditer` gives after `index` others."""
    matches = pattern.finditer(text, start, end)
    return [next(matches) for _ in range(index + 1)][-1]


def reduce_list_iterator(_pickler: Any, found: Any) -> Any:
    """Over its list, which may hold it and be empty when it is made: it is set to its place at the end."""
    _, (items,), *place = found.__reduce__()
    if not place:
        return NotImplemented
    return new_list_iterator, (items, isinstance(found, _BACKWARDS)), place, None, None, put_iterator


_BACKWARDS: type = type(reversed([]))


def new_list_iterator(items: list[Any], backwards: bool) -> Any:
    """An iterator of a list."""
    return list.__reversed__(items) if backwards else list.__iter__(items)


def put_iterator(found: Any, place: list[int]) -> None:
    """Set it to its place, when its list has its items."""
    at_end(lambda: found.__setstate__(*place))


def reduce_key_wrapper(_pickler: Any, found: Any) -> Any:
    """What `functools.cmp_to_key` gives: the comparison is held, and shown by calling it."""
    comparisons: list[Any] = [
        item for item in gc.get_referents(found) if callable(item) and item is not type(found)
    ]
    return functools.cmp_to_key, (comparisons[0],)
