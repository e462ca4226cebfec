"""matplotlib's callback registries: what is connected stays connected, as far as it is not a window's."""

import functools
import importlib
import itertools
import sys
from typing import Any

_REBUILT = ("callbacks", "_func_cid_map", "_cid_gen")


def reduce_callbacks(_pickler: Any, registry: Any) -> Any:
    """With every callback: matplotlib drops all but a few, and colour bars would not follow their images."""
    connected = [
        (signal, number, function)
        for signal, proxies in registry.callbacks.items()
        for number, proxy in proxies.items()
        if (function := proxy()) is not None and not _is_of_window(function)
    ]
    members = {name: value for name, value in vars(registry).items() if name not in _REBUILT}
    following = int(repr(registry._cid_gen)[len("count(") : -1])
    state = (members, connected, following)
    return new_callbacks, (type(registry),), state, None, None, fill_callbacks


def _is_of_window(function: Any) -> bool:
    """Whether a canvas or its manager connected it: those are made anew."""
    bases: Any = sys.modules["matplotlib.backend_bases"]
    kinds = (bases.FigureManagerBase, bases.FigureCanvasBase, bases.NavigationToolbar2)
    return isinstance(getattr(function, "__self__", None), kinds)


def new_callbacks(kind: type) -> Any:
    """A registry, not yet filled."""
    return object.__new__(kind)


def fill_callbacks(registry: Any, state: tuple[dict[str, Any], list[tuple[Any, int, Any]], int]) -> None:
    """Connect everything under the number it had: that is what it is disconnected by."""
    cbook: Any = importlib.import_module("matplotlib.cbook")
    members, connected, following = state
    vars(registry).update(members)
    registry.callbacks, registry._func_cid_map = {}, cbook._UnhashDict([])
    registry._cid_gen = itertools.count(following)
    for signal, number, function in connected:
        proxy = cbook._weak_or_strong_ref(function, functools.partial(registry._remove_proxy, signal))
        registry.callbacks.setdefault(signal, {})[number] = proxy
        registry._func_cid_map[signal, proxy] = number
