"""Objects that must not be pickled even where pickle would: they are nothing without their process."""

from collections.abc import Callable
from typing import Any

from kernel_broker.worker.state.pickling import finished

Reducer = Callable[[Any, Any], Any]


def refuse(pickler: Any, found: Any) -> Any:
    """A tombstone."""
    return pickler.losses.tombstone(found)


REDUCERS: dict[str, Reducer] = {
    "builtins.generator": finished.reduce_generator,
    "builtins.coroutine": finished.reduce_coroutine,
    "threading.Thread": finished.reduce_thread,
    "subprocess.Popen": finished.reduce_process,
    "concurrent.futures._base.Executor": finished.reduce_executor,
    "concurrent.futures._base.Future": finished.reduce_future,
    "_asyncio.Future": finished.reduce_future,
    "asyncio.futures.Future": finished.reduce_future,
    "sqlite3.Connection": finished.reduce_connection,
    "_socket.socket": finished.reduce_socket,
}
_REFUSED = """
    builtins.async_generator builtins.frame builtins.traceback
    asyncio.events.AbstractEventLoop asyncio.events.Handle selectors.BaseSelector select.epoll select.poll
    multiprocessing.pool.Pool multiprocessing.process.BaseProcess multiprocessing.managers.BaseManager
    sqlite3.Cursor sqlite3.Blob mmap.mmap _contextvars.Token _contextvars.Context
    zmq.sugar.socket.Socket zmq.sugar.context.Context zmq.backend.cython._zmq.Socket
    zmq.backend.cython._zmq.Context _hashlib.HASH _ctypes._Pointer
    numba.typed.typedlist.List numba.typed.typeddict.Dict numba.experimental.structref.StructRefProxy
    xgboost.core.DMatrix
"""
REDUCERS |= dict.fromkeys(_REFUSED.split(), refuse)
