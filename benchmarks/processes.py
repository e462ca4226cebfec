"""Processes seen from outside: their memory, their end."""

import os
import select

import psutil

_MIB = 2**20


def uss(pid: int) -> float:
    """MiB that would be free if this process ended."""
    return float(psutil.Process(pid).memory_full_info().uss) / _MIB


def pss(pid: int) -> float:
    """MiB of a process, what it shares counted in parts."""
    return float(psutil.Process(pid).memory_full_info().pss) / _MIB


def family(pid: int) -> list[int]:
    """A process and all below it."""
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


def is_gone(pid: int, seconds: float = 0.0) -> bool:
    """Whether a process has ended, or ends within so many seconds."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)
