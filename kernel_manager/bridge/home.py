"""Where bridges live: one daemon thread with its own event loop per process, shared by all its kernels.

Whoever drives a KernelManager (a server's loop, `run_sync` in a script) may stop turning its loop between
calls; the bridges must not notice.
"""

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import zmq

from kernel_manager.bridge.sockets import Context
from kernel_manager.loop_thread import LoopThread

T = TypeVar("T")

_homes: dict[int, "Home"] = {}
"""By process id. A forked child finds no entry of its own and makes one; the parent's stays referenced,
because collecting it would close descriptors that the parent still waits on."""
_locks: dict[int, threading.Lock] = {}


class Home:
    """The thread and its ZMQ context. Obtained with `move_in`, given up with `move_out`."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.context: Context = zmq.Context()
        self.residents = 0
        self._thread = LoopThread("serverless-kernel-bridge")

    async def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the thread, from a coroutine on any other loop."""
        if self.pid != os.getpid():
            work.close()
            raise RuntimeError(f"this kernel belongs to process {self.pid}, which forked this one")
        return await asyncio.wrap_future(self._thread.submit(work))

    def close(self) -> None:
        """End the thread; the kernels on it are closed already."""
        self._thread.close()
        self.context.term()


def move_in() -> Home:
    """This process's home, for one more kernel."""
    with _lock():
        home = _homes.get(os.getpid())
        if home is None:
            home = _homes[os.getpid()] = Home()
        home.residents += 1
        return home


def move_out(home: Home) -> None:
    """One kernel less; the thread ends with the last one."""
    if home.pid != os.getpid():
        return
    with _lock():
        home.residents -= 1
        if home.residents:
            return
        del _homes[home.pid]
    home.close()


def _lock() -> threading.Lock:
    # By process as well: a lock that some thread held at a fork stays locked in the child for ever.
    return _locks.setdefault(os.getpid(), threading.Lock())
