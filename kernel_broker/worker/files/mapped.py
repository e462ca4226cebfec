"""Which files this process and its children have mapped for writing.

A write through a mapping moves a file's times at the first touch of a page only: such a file must be read
again, whatever its times say.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_SHARED = re.compile(rb"^\S+ .w.s \S+ ([0-9a-f]+):([0-9a-f]+) (\d+) +(/.*)$", re.MULTILINE)

_NO_FILES = (b"/memfd:", b"/dev/zero", b"/SYSV", b"/anon_")

Mapped = frozenset[tuple[int, int] | bytes]
"""Files, by device and inode, and by path: on an overlay only the path is that of the file the user sees."""


def mapped_files(below: bytes) -> Mapped:
    """The files that are mapped, shared and writable; paths only of those `below` a folder."""
    found: set[tuple[int, int] | bytes] = set()
    for process in _family(os.getpid()):
        with suppress(OSError):
            for major, minor, inode, path in _SHARED.findall(Path(f"/proc/{process}/maps").read_bytes()):
                if path.startswith(_NO_FILES):
                    continue
                found.add((os.makedev(int(major, 16), int(minor, 16)), int(inode)))
                if path.startswith(below):
                    found.add(path.replace(rb"\012", b"\n"))
    return frozenset(found)


def _family(process: int) -> Iterator[int]:
    yield process
    for listing in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            for child in listing.read_text().split():
                yield from _family(int(child))
