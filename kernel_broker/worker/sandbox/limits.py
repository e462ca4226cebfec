"""Limits of a worker's processes, and its privileges: both can only be lowered."""

import contextlib
import re
import resource
from dataclasses import dataclass
from pathlib import Path

from kernel_broker.worker.sandbox.calls import (
    PR_CAP_AMBIENT,
    PR_CAPBSET_DROP,
    PR_SET_NO_NEW_PRIVS,
    call,
    control,
)

_MOST_DESCRIPTORS = 65536
_CLEAR_AMBIENT = 4
_VERSION_3 = 0x20080522
_CAPSET = {"x86_64": 126, "aarch64": 91}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process may take; 0: as much as there is."""

    memory: int = 0
    """Bytes of private memory besides what the libraries hold."""
    file: int = 0
    """Bytes of a file."""
    processes: int = 0
    """Processes and threads of the account, over which no more are started. Does not bind root."""


def held_memory() -> int:
    """Bytes of private memory that this process has now."""
    found = re.search(r"^VmData:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def lower(limits: Limits, held: int) -> None:
    """Set what has a limit; no core is ever dumped, and descriptors are bounded in any case."""
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_NOFILE, _MOST_DESCRIPTORS)
    if limits.memory:
        _set(resource.RLIMIT_DATA, held + limits.memory)
    if limits.file:
        _set(resource.RLIMIT_FSIZE, limits.file)
    if limits.processes:
        _set(resource.RLIMIT_NPROC, limits.processes)


def _set(which: int, most: int) -> None:
    bounds = [bound if bound != resource.RLIM_INFINITY else most for bound in resource.getrlimit(which)]
    resource.setrlimit(which, (min(bounds[0], most), min(bounds[1], most)))


def give_up_privileges(machine: str) -> None:
    """Gain none by starting a program, and keep no capability: root's are gone too. Raises `OSError`."""
    control(PR_SET_NO_NEW_PRIVS, 1)
    with contextlib.suppress(OSError):  # needs a capability itself; without one there is nothing to drop
        for number in range(64):
            control(PR_CAPBSET_DROP, number)
    control(PR_CAP_AMBIENT, _CLEAR_AMBIENT)
    if machine in _CAPSET:
        header, none = _VERSION_3.to_bytes(4, "little") + bytes(4), bytes(24)
        call(_CAPSET[machine], header, none)
