"""An account without privileges, and a Python that it can run.

The tests' own Python may be in a home of root's. If the system has no other of the same version, the account
is root's without its capabilities, which the kernel refuses the same.
"""

import os
import site
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

NUMBER = 60_000 + os.getpid() % 5000
"""Nobody else's, of tests that run beside this either: its processes are counted."""

_WITHOUT = ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"


@cache
def program() -> Path | None:
    """A Python that the account can run; None if there is none."""
    return next(filter(_can_run, _candidates()), None)


def _candidates() -> Iterator[Path]:
    yield Path(sys.executable).resolve()
    yield from (Path(f"/usr/bin/{_VERSION}"), Path(f"/usr/local/bin/{_VERSION}"))


def _can_run(path: Path) -> bool:
    try:
        return subprocess.run([path, "-c", ""], user=NUMBER, group=NUMBER, extra_groups=[]).returncode == 0
    except OSError:
        return False


def is_own() -> bool:
    """Whether the broker runs under an account of its own, whose processes can be counted."""
    return os.geteuid() == 0 and program() is not None


def launcher() -> tuple[str, ...]:
    """What starts a program without privileges; nothing where the tests themselves have none."""
    if os.geteuid() != 0:
        return ()
    other = (f"--reuid={NUMBER}", f"--regid={NUMBER}", "--clear-groups") if is_own() else ()
    return ("setpriv", *other, *_WITHOUT)


def make_python(folder: Path) -> str:
    """An interpreter with this environment's packages, in a folder that the account can reach."""
    if not is_own():
        return sys.executable
    here = program()
    assert here is not None
    link = folder / "bin" / "python"
    link.parent.mkdir(parents=True)
    link.symlink_to(here)
    (folder / "pyvenv.cfg").write_text(f"home = {here.parent}\ninclude-system-site-packages = false\n")
    packages = folder / "lib" / _VERSION / "site-packages"
    packages.mkdir(parents=True)
    lines = [f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages()]
    (packages / "tests.pth").write_text("".join(lines))
    return str(link)
