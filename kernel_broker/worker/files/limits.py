"""How much of the working directory is kept with a session."""

from collections.abc import Iterable
from dataclasses import dataclass

from kernel_broker.wire.pages import FileRecord


@dataclass(frozen=True, slots=True)
class FileLimits:
    """Bounds on the working files of one session."""

    total: int = 2**30
    """Bytes of all files together."""
    count: int = 10_000
    """Files, folders and links."""
    single: int = 256 * 2**20
    """Bytes of one file."""


class Budget:
    """What is left of the limits: what was kept before has its place, new things take the rest."""

    def __init__(self, limits: FileLimits, kept: Iterable[FileRecord] = ()) -> None:
        self._limits = limits
        self._total = self._count = 0
        for record in kept:
            self._total += record.size
            self._count += 1

    def refuse(self, size: int, before: FileRecord | None) -> str | None:
        """Take what a file of `size` bytes needs in the place of `before`; or say which limit is reached."""
        limits = self._limits
        more = size - (before.size if before is not None else 0)
        if size > limits.single:
            return f"its {_amount(size)} are over the limit of {_amount(limits.single)} for one file"
        if before is None and self._count >= limits.count:
            return f"the session's limit of {limits.count:,} files and folders is reached"
        if more > 0 and self._total + more > limits.total:
            return f"the session's files would be over their limit of {_amount(limits.total)} together"
        self._total += more
        self._count += before is None
        return None


def _amount(size: int) -> str:
    if size < 10_000:
        return f"{size:,} bytes"
    for unit in ("kB", "MB", "GB"):
        size //= 1000
        if size < 10_000:
            return f"{size:,} {unit}"
    return f"{size:,} GB"
