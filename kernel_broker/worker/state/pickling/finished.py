"""Things of a process that have run their course: what is left of them is plain data, and travels."""

import asyncio
import concurrent.futures
import sys
import threading
import types
from typing import Any


def reduce_generator(pickler: Any, generator: types.GeneratorType) -> Any:
    """An exhausted one; any other is held by its frame."""
    if generator.gi_frame is None:
        return exhausted_generator, (generator.__name__,)
    return pickler.losses.tombstone(generator)


def exhausted_generator(name: str) -> Any:
    """A generator that has nothing more to give."""
    generator: Any = (item for item in name)
    generator.__name__ = name
    list(generator)
    return generator


def reduce_coroutine(pickler: Any, coroutine: types.CoroutineType) -> Any:
    """One that was awaited to its end."""
    if coroutine.cr_frame is None:
        return ended_coroutine, (coroutine.__name__,)
    return pickler.losses.tombstone(coroutine)


def ended_coroutine(name: str) -> Any:
    """A coroutine that cannot be awaited again."""

    async def nothing() -> None:
        """Ends at once."""

    coroutine: Any = nothing()
    coroutine.__name__ = name
    coroutine.close()
    return coroutine


def reduce_thread(pickler: Any, thread: threading.Thread) -> Any:
    """One that has ended, or was never started."""
    if thread.is_alive() or thread is threading.main_thread():
        return pickler.losses.tombstone(thread)
    left_behind = ("_stderr", "_invoke_excepthook", "_tstate_lock", "_handle")
    state = {name: value for name, value in vars(thread).items() if name not in left_behind}
    return new_thread, (type(thread),), state, None, None, fill_thread


def new_thread(kind: type[threading.Thread]) -> threading.Thread:
    """A thread without its attributes."""
    thread = kind.__new__(kind)
    threading.Thread.__init__(thread)
    return thread


def fill_thread(thread: threading.Thread, state: dict[str, Any]) -> None:
    """Give a thread its attributes."""
    vars(thread).update(state)


def reduce_process(pickler: Any, process: Any) -> Any:
    """A subprocess that has ended and was waited for."""
    if process.returncode is None:
        return pickler.losses.tombstone(process)
    state = {name: value for name, value in vars(process).items() if name != "_waitpid_lock"}
    return new_process, (type(process),), state, None, None, fill_process


def new_process(kind: Any) -> Any:
    """A subprocess without its attributes."""
    return kind.__new__(kind)


def fill_process(process: Any, state: dict[str, Any]) -> None:
    """Give a subprocess its attributes."""
    vars(process).update(state, _waitpid_lock=threading.Lock())


def reduce_future(pickler: Any, future: Any) -> Any:
    """One that is done, with its outcome."""
    if not future.done():
        return pickler.losses.tombstone(future)
    kind = asyncio.Future if asyncio.isfuture(future) else concurrent.futures.Future
    if future.cancelled():
        return done_future, (kind,), ["cancelled", None], None, None, fill_future
    error = future.exception()
    outcome = ["error", error] if error is not None else ["result", future.result()]
    return done_future, (kind,), outcome, None, None, fill_future


def done_future(kind: Any) -> Any:
    """A future without an outcome."""
    return (
        kind()
        if kind is concurrent.futures.Future
        else kind(loop=asyncio.get_event_loop_policy().get_event_loop())
    )


def fill_future(future: Any, outcome: list[Any]) -> None:
    """Give a future its outcome."""
    how, value = outcome
    if how == "cancelled":
        future.cancel()
    elif how == "error":
        future.set_exception(value)
    else:
        future.set_result(value)


def reduce_executor(pickler: Any, executor: Any) -> Any:
    """One that was shut down; a live one has threads or processes."""
    shut = getattr(executor, "_shutdown", False) or getattr(executor, "_shutdown_thread", False)
    kinds = (concurrent.futures.ThreadPoolExecutor, concurrent.futures.ProcessPoolExecutor)
    if not shut or type(executor) not in kinds:
        return pickler.losses.tombstone(executor)
    return shut_executor, (type(executor), executor._max_workers)


def shut_executor(kind: Any, workers: int) -> Any:
    """An executor that takes no more work."""
    executor = kind(workers)
    executor.shutdown()
    return executor


def reduce_connection(pickler: Any, connection: Any) -> Any:
    """A database connection that was closed."""
    sqlite3: Any = sys.modules["sqlite3"]
    try:
        connection.total_changes  # noqa: B018
    except sqlite3.ProgrammingError:
        return closed_connection, ()
    return pickler.losses.tombstone(connection)


def closed_connection() -> Any:
    """A connection that was closed."""
    import sqlite3

    connection = sqlite3.connect(":memory:")
    connection.close()
    return connection


def reduce_socket(pickler: Any, sock: Any) -> Any:
    """A socket that was closed."""
    if sock.fileno() == -1:
        return closed_socket, (type(sock),)
    return pickler.losses.tombstone(sock)


def closed_socket(kind: Any) -> Any:
    """A socket that was closed."""
    sock = kind()
    sock.close()
    return sock
