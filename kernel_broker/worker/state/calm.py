"""Quiet while a state is taken or brought back: no interrupt, no collection, pristine builtins."""

import builtins
import gc
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PRISTINE = dict(vars(builtins))


@contextmanager
def calm() -> Iterator[None]:
    """Keep out whatever would disturb the engine."""
    on_main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if on_main else None
    collecting = gc.isenabled()
    gc.disable()
    try:
        with _pristine_builtins():
            yield
    finally:
        if collecting:
            gc.enable()
        if handler is not None:
            signal.signal(signal.SIGINT, handler)


@contextmanager
def _pristine_builtins() -> Iterator[None]:
    """The builtins that the engine's own code needs, whatever a cell did to them."""
    space = vars(builtins)
    absent = object()
    changed = {
        name: space.get(name, absent)
        for name, value in _PRISTINE.items()
        if name != "_" and space.get(name, absent) is not value
    }
    space.update({name: _PRISTINE[name] for name in changed})
    try:
        yield
    finally:
        for name, value in changed.items():
            if value is absent:
                del space[name]
            else:
                space[name] = value
