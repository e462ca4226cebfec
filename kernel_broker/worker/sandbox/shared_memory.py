"""Multiprocessing's locks and shared memory without /dev/shm, where every process of an account finds them.

Locks are made in memory that forked children inherit, shared memory of files in the worker's own folder. A
process that is spawned instead of forked finds neither.
"""

import ctypes
import importlib
import mmap
import multiprocessing.context
import os
from multiprocessing import heap, shared_memory, synchronize
from pathlib import Path
from typing import Any

_multiprocessing: Any = importlib.import_module("_multiprocessing")
_SEMAPHORE = 128
"""Bytes; at least what any C library takes for one."""


def keep_in(folder: str) -> None:
    """From now on, use this folder and nothing else."""
    vars(shared_memory)["_posixshmem"] = _Files(Path(folder))
    vars(synchronize)["_multiprocessing"] = _Semaphores()
    arena: Any = heap.Arena
    arena._dir_candidates = []  # its arrays then go where temporary files do
    context: Any = multiprocessing.context
    context._default_context._default_context = context._concrete_contexts["fork"]  # since 3.14: forkserver


class _Files:
    """Stands for `_posixshmem`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def shm_open(self, path: str, flags: int, mode: int = 0o777) -> int:
        return os.open(self._place(path), flags | os.O_CLOEXEC | os.O_NOFOLLOW, mode)

    def shm_unlink(self, path: str) -> None:
        self._place(path).unlink()

    def _place(self, path: str) -> Path:
        return self._folder / path.lstrip("/").replace("/", "_")


class _Semaphores:
    """Stands for `_multiprocessing`. Nothing tells when a lock is no more: its few bytes stay."""

    def __init__(self) -> None:
        self.sem_unlink = _multiprocessing.sem_unlink
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._pages: list[mmap.mmap] = []
        self._used = mmap.PAGESIZE

    def SemLock(self, kind: int, value: int, maxvalue: int, name: str, unlink: bool) -> Any:  # noqa: N802
        """A lock; one that is to be found by its name is made as ever, and refused by the kernel."""
        if not unlink:
            return _multiprocessing.SemLock(kind, value, maxvalue, name, unlink)
        address = self._place()
        if self._libc.sem_init(ctypes.c_void_p(address), 1, ctypes.c_uint(value)):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return _multiprocessing.SemLock._rebuild(address, kind, maxvalue, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(_multiprocessing, name)

    def _place(self) -> int:
        if self._used + _SEMAPHORE > mmap.PAGESIZE:
            self._pages.append(mmap.mmap(-1, mmap.PAGESIZE))
            self._used = 0
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._pages[-1], self._used))
        self._used += _SEMAPHORE
        return address
