"""The one thread, event loop and ZMQ context on which all bridges of a process live.

Whoever drives a KernelManager (a server's loop, `run_sync` in a script) may stop turning its loop between
calls; the bridges must not notice. A forked process gets a thread of its own.
"""

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

import zmq.asyncio

T = TypeVar("T")


class BridgeLoop:
    """A daemon thread that runs an event loop for ever."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._loop = asyncio.SelectorEventLoop()
        self.context = zmq.asyncio.Context()
        self._thread = threading.Thread(target=self._run, name="serverless-kernel-bridge", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for it on the caller's own."""
        return await asyncio.wrap_future(self.submit(work))


_lock = threading.Lock()
_current: BridgeLoop | None = None


def bridge_loop() -> BridgeLoop:
    """This process's loop, started when first asked for."""
    global _current  # noqa: PLW0603  (one for each process is the point)
    with _lock:
        if _current is None or _current.pid != os.getpid():
            _current = BridgeLoop()
        return _current
