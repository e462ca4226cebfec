"""What a session may read of the system: programs, libraries, the Python environment, and no secret.

Folders of other software's data (/home, /root, /run, /srv, /var, /tmp) are left out: that is where
secrets are.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/var/cache/fontconfig")
_ETC = ("alternatives", "bash.bashrc", "ca-certificates", "debian_version", "fonts", "gai.conf", "group",
        "host.conf", "hosts", "inputrc", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias",
        "locale.conf", "localtime", "magic", "matplotlibrc", "mime.types", "networks", "nsswitch.conf",
        "os-release", "passwd", "pki/ca-trust", "pki/tls/certs", "profile", "profile.d", "protocols",
        "resolv.conf", "services", "ssl/cert.pem", "ssl/certs", "ssl/openssl.cnf", "terminfo",
        "timezone")  # fmt: skip
_KERNEL = ("/proc/cpuinfo", "/proc/filesystems", "/proc/loadavg", "/proc/meminfo", "/proc/stat",
           "/proc/uptime", "/proc/version", "/proc/sys/kernel", "/proc/sys/vm", "/proc/sys/fs",
           "/sys/devices/system", "/sys/fs/cgroup")  # fmt: skip
_NEVER = ("/", "/etc", "/home", "/proc", "/root", "/run", "/tmp", "/var", "/var/run", "/var/tmp")  # noqa: S108
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def readable() -> Iterator[str]:
    """The paths that every session may read; some may not exist here."""
    yield from _SYSTEM
    yield from (f"/etc/{name}" for name in _ETC)
    yield from _KERNEL
    yield from filter(_is_narrow, _environment())


def _environment() -> Iterator[str]:
    yield from (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)
    yield from sys.path
    yield from os.environ.get("LD_LIBRARY_PATH", "").split(":")


def _is_narrow(path: str) -> bool:
    """Whether a path is of software: no folder that all kinds of things are in."""
    whole = Path(path)
    return whole.is_absolute() and whole.resolve() not in {Path(name) for name in _NEVER} | {Path.home()}
