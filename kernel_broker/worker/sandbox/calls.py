"""System calls that Python has no function for."""

import ctypes
import os

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47

_libc = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: int | bytes | None) -> int:
    """A system call by number; raises `OSError`."""
    given = [
        value if value is None or isinstance(value, bytes) else ctypes.c_long(value) for value in arguments
    ]
    result: int = _libc.syscall(ctypes.c_long(number), *given)
    if result < 0:
        raise _last_error()
    return result


def control(option: int, *arguments: int) -> int:
    """`prctl`; raises `OSError`."""
    given = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    result: int = _libc.prctl(ctypes.c_int(option), *given)
    if result < 0:
        raise _last_error()
    return result


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
