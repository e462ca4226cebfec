"""Landlock: a domain whose processes reach no file, port, process or socket but what its rules allow.

What the kernel does not know yet is left out; `abi` says what it knows.
"""

import os
import stat
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kernel_broker.worker.sandbox.calls import call

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # the same on every architecture
_PATH_BENEATH, _NET_PORT = 1, 2
_VERSION = 1

TCP_ABI, SCOPE_ABI = 4, 6

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
REFER = 1 << 13  # denied by every domain that does not say otherwise
_TRUNCATE, _IOCTL_DEVICE = 1 << 14, 1 << 15
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPES = 3  # abstract unix sockets and signals

READ = _EXECUTE | _READ_FILE | _READ_DIR
DEVICE = _READ_FILE | _WRITE_FILE | _TRUNCATE
OWN = ((1 << 15) - 1) & ~(_MAKE_CHAR | _MAKE_BLOCK)
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE


def abi() -> int:
    """The version of Landlock that this kernel has; 0 for none."""
    try:
        return call(_CREATE, None, 0, _VERSION)
    except OSError:
        return 0


@dataclass(frozen=True, slots=True)
class Opened:
    """A path a rule is about. The descriptor stands for the file, whatever its name leads to later."""

    descriptor: int
    rights: int


def open_path(path: str, rights: int, exact: bool = False) -> Opened | None:
    """A path that may be reached with `rights`; None if there is no such thing.

    With `exact`, one that a link leads to is none: a session may have put it there just now.
    """
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    if exact and str(Path(f"/proc/self/fd/{descriptor}").readlink()) != path:
        os.close(descriptor)
        return None
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        rights &= _OF_FILES
    return Opened(descriptor, rights)


@dataclass(frozen=True, slots=True)
class Domain:
    """What a domain handles: everything it handles is forbidden but by a rule."""

    version: int
    files: bool
    """Whether files are handled. If not, device nodes are, which nobody makes: a domain handles something."""
    ports: tuple[int, ...] | None
    """TCP ports that may be connected to; None: TCP is not handled."""

    def enter(self, paths: Iterable[Opened]) -> None:
        """Put this process, and all it starts, in a new domain; raises `OSError`. No new privileges first."""
        version = self.version
        known = (1 << (16 if version >= 5 else 13 + min(version - 1, 2))) - 1
        files = known if self.files else known & (_MAKE_CHAR | _MAKE_BLOCK | REFER)
        tcp = _BIND_TCP | _CONNECT_TCP if self.ports is not None and version >= TCP_ABI else 0
        attributes = struct.pack("QQQ", files, tcp, _SCOPES)
        size = 24 if version >= SCOPE_ABI else 16 if version >= TCP_ABI else 8
        ruleset = call(_CREATE, attributes, size, 0)
        try:
            for path in paths:
                if rights := path.rights & files:
                    rule = struct.pack("=Qi", rights, path.descriptor)
                    call(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0)
            for port in self.ports or () if tcp else ():
                call(_ADD_RULE, ruleset, _NET_PORT, struct.pack("=QQ", _CONNECT_TCP, port), 0)
            call(_RESTRICT, ruleset, 0)
        finally:
            os.close(ruleset)
