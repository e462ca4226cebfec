"""Objects that must not be pickled even where pickle would: they are nothing without their process."""

from collections.abc import Callable
from typing import Any

from kernel_broker.worker.state.pickling.losses import ONLY_HERE

_REASONS = {
    "builtins.generator": ONLY_HERE,
    "builtins.coroutine": ONLY_HERE,
    "builtins.async_generator": ONLY_HERE,
    "builtins.frame": ONLY_HERE,
    "builtins.traceback": ONLY_HERE,
    "threading.Thread": ONLY_HERE,
    "subprocess.Popen": ONLY_HERE,
    "concurrent.futures._base.Executor": ONLY_HERE,
    "concurrent.futures._base.Future": ONLY_HERE,
    "_asyncio.Future": ONLY_HERE,
    "asyncio.futures.Future": ONLY_HERE,
    "asyncio.events.AbstractEventLoop": ONLY_HERE,
    "asyncio.events.Handle": ONLY_HERE,
    "selectors.BaseSelector": ONLY_HERE,
    "multiprocessing.pool.Pool": ONLY_HERE,
    "multiprocessing.process.BaseProcess": ONLY_HERE,
    "multiprocessing.managers.BaseManager": ONLY_HERE,
    "sqlite3.Connection": ONLY_HERE,
    "sqlite3.Cursor": ONLY_HERE,
    "_socket.socket": ONLY_HERE,
    "select.epoll": ONLY_HERE,
    "select.poll": ONLY_HERE,
    "mmap.mmap": ONLY_HERE,
    "_contextvars.Token": ONLY_HERE,
    "_contextvars.Context": ONLY_HERE,
    "zmq.sugar.socket.Socket": ONLY_HERE,
    "zmq.sugar.context.Context": ONLY_HERE,
}


def refusal_for(kind: type) -> Callable[[Any, Any], Any] | None:
    """A reducer that makes a tombstone, if a type or a base of it is on the list."""
    for base in kind.__mro__:
        reason = _REASONS.get(f"{base.__module__}.{base.__qualname__}")
        if reason is not None:
            return _refuse(reason)
    return None


def _refuse(reason: str) -> Callable[[Any, Any], Any]:
    return lambda pickler, found: pickler.losses.tombstone(found, reason)
