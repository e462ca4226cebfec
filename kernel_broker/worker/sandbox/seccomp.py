"""The filter of system calls: a program for the kernel, assembled once, installed in every worker.

What is denied fails with EPERM; nothing is killed for trying.
"""

import ctypes
import errno
import platform
import socket
import struct
from collections.abc import Iterable, Sequence
from typing import Literal

from kernel_broker.worker.sandbox.calls import PR_SET_SECCOMP, control
from kernel_broker.worker.sandbox.syscalls import CHECKED, DENIED, MACHINES, WATCHES

Network = Literal["none", "ports", "open"]
Code = list[tuple[int, int, int, int]]

_LOAD, _AND, _JUMP, _RETURN = 0x20, 0x54, 0x05, 0x06
_EQUAL, _AT_LEAST, _ANY_BIT = 0x15, 0x35, 0x45
_ALLOW, _ERRNO, _FILTER = 0x7FFF0000, 0x00050000, 2
_NUMBER_AT, _MACHINE_AT, _ARGUMENTS_AT = 0, 4, 16
_OTHER_ABI = 0x40000000  # x86_64's 32-bit pointers

_NEW_NAMESPACES = 0x7E020000
_TYPE_MASK = 0xF
_FAST_OPEN = 0x20000000
_PROCESS = 1  # ioprio_set's word for it


_IGNORE: Code = [(_RETURN, 0, 0, _ERRNO)]
"""Do nothing, and say that it is done."""


def _return(error: int = 0) -> Code:
    return [(_RETURN, 0, 0, _ERRNO | error if error else _ALLOW)]


def _argument(place: int) -> Code:
    return [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * place)]  # its low half: both machines are little-endian


def _deny(numbers: Sequence[int], error: int) -> Code:
    """Fail for some calls, go on for others."""
    tests = [(_EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    return [*tests, (_JUMP, 0, 0, 1), *_return(error)]


def _only(number: int, block: Code) -> Code:
    """A block that decides about one call."""
    return [(_EQUAL, 0, len(block), number), *block]


def _unless_bits(place: int, bits: int) -> Code:
    return [*_argument(place), (_ANY_BIT, 0, 1, bits), *_return(errno.EPERM), *_return()]


def _for_oneself(who: int = 0, kind: int | None = None, otherwise: Code | None = None) -> Code:
    """Allow for the calling process alone, which is 0: the account's other processes are siblings."""
    refusal = otherwise or _return(errno.EPERM)
    block = [*_argument(who), (_EQUAL, 1, 0, 0), *refusal, *_return()]
    if kind is None:
        return block
    return [*_argument(0), (_EQUAL, 1, 0, kind), *refusal, *block]


def _families(network: Network) -> Code:
    """Unix sockets always. With allowed ports, what Landlock filters: TCP, and nothing that looks like it."""
    unix: Code = [*_argument(0), (_EQUAL, 0, 1, socket.AF_UNIX), *_return()]
    if network == "none":
        return [*unix, *_return(errno.EPERM)]
    route: Code = [*_argument(2), (_EQUAL, 0, 1, 0), *_return(), *_return(errno.EPERM)]
    kinds: Code = [*_argument(1), (_AND, 0, 0, _TYPE_MASK)]
    if network == "open":
        kinds += [(_EQUAL, 1, 0, socket.SOCK_STREAM), (_EQUAL, 0, 1, socket.SOCK_DGRAM), *_return()]
    else:
        kinds += [(_EQUAL, 0, 4, socket.SOCK_STREAM), *_argument(2)]
        kinds += [(_EQUAL, 1, 0, 0), (_EQUAL, 0, 1, socket.IPPROTO_TCP), *_return()]
    kinds += _return(errno.EPERM)
    internet: Code = [(_EQUAL, 1, 0, socket.AF_INET), (_EQUAL, 0, len(kinds), socket.AF_INET6), *kinds]
    netlink: Code = [(_EQUAL, 0, len(route), socket.AF_NETLINK), *route]
    return [*unix, *internet, *netlink, *_return(errno.EPERM)]


def assemble(network: Network, watches: bool, machine: str = "") -> bytes:
    """The program for this machine; raises `OSError` if it is not one that we know."""
    machine = machine or platform.machine()
    if machine not in MACHINES:
        raise OSError(errno.ENOSYS, f"system calls are not known for {machine}")
    column, audit = MACHINES[machine]
    names = DENIED if watches else DENIED | WATCHES
    denied = [found for numbers in names.values() if (found := numbers[column]) is not None]
    number = {name: numbers[column] for name, numbers in CHECKED.items()}
    blocks = {
        "clone": _unless_bits(0, _NEW_NAMESPACES),
        "socket": _families(network),
        "setpriority": _for_oneself(1, 0),
        "ioprio_set": _for_oneself(1, _PROCESS),
    }
    blocks |= dict.fromkeys(("prlimit64", "sched_setaffinity", "sched_setattr"), _for_oneself())
    # ZeroMQ ends the process if it may not set how a thread of its own is scheduled: it is told that it has.
    blocks |= dict.fromkeys(("sched_setscheduler", "sched_setparam"), _for_oneself(otherwise=_IGNORE))
    if network == "ports":  # with it, data opens a connection without asking Landlock
        blocks |= {"sendto": _unless_bits(3, _FAST_OPEN), "sendmmsg": _unless_bits(3, _FAST_OPEN)}
        blocks["sendmsg"] = _unless_bits(2, _FAST_OPEN)
    code: Code = [(_LOAD, 0, 0, _MACHINE_AT), (_EQUAL, 1, 0, audit), *_return(errno.EPERM)]
    code += [(_LOAD, 0, 0, _NUMBER_AT)]
    if machine == "x86_64":
        code += [(_AT_LEAST, 0, 1, _OTHER_ABI), *_return(errno.EPERM)]
    code += _deny([number["clone3"]], errno.ENOSYS)  # its flags cannot be seen; C libraries then use clone
    code += _deny(denied, errno.EPERM)
    for name, block in blocks.items():
        code += _only(number[name], block)
    return _pack([*code, *_return()])


def _pack(code: Iterable[tuple[int, int, int, int]]) -> bytes:
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def install(program: bytes) -> None:
    """Filter this thread, and all it starts, from now on; raises `OSError`. No new privileges first."""
    memory = ctypes.create_string_buffer(program)
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(memory)))
    control(PR_SET_SECCOMP, _FILTER, ctypes.addressof(head))
