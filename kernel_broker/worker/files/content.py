"""The bytes of one file: read into chunks, and written from them."""

import errno
import os
import stat
import time
from collections.abc import Iterable
from contextlib import suppress

from kernel_broker.wire.pages import MTIME, PIECE, FileRecord
from kernel_broker.worker.files.tree import open_folder
from kernel_broker.worker.state.chunks import Buffer, Chunks, verified
from kernel_broker.worker.state.errors import StateCorrupt

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

TICK = 20_000_000
"""Nanoseconds in which a file may change twice and show one time: the kernel's clock ticks are coarse."""

Signature = tuple[int, int, int, int, int]
"""Moves whenever the file does: inode, size, mode, and the times of change of content and of anything."""


def signature(status: os.stat_result) -> Signature:
    """A file's signature."""
    return (status.st_ino, status.st_size, status.st_mode, status.st_mtime_ns, status.st_ctime_ns)


def mtime_of(status: os.stat_result) -> int:
    """The time of the last change of content, as a record may have it."""
    return max(-MTIME, min(status.st_mtime_ns, MTIME))


def read(root: int, path: str, limit: int, chunks: Chunks) -> tuple[FileRecord, Signature | None]:
    """Cut a file's first `limit` bytes into chunks; its record, and a signature if that can be trusted.

    It cannot where the file changed while it was read, or so shortly before that a later change may not show.
    """
    folder = open_folder(root, path.rpartition("/")[0])
    try:
        descriptor = os.open(path.rpartition("/")[2], _READ, dir_fd=folder)
    finally:
        os.close(folder)
    try:
        started = time.time_ns()
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file any more")
        names, size = _cut(descriptor, min(before.st_size, limit), chunks)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    record = FileRecord(path, "file", stat.S_IMODE(after.st_mode), mtime_of(after), size, tuple(names))
    calm = signature(before) == signature(after) and size == after.st_size
    return record, signature(after) if calm and after.st_ctime_ns < started - TICK else None


def _cut(descriptor: int, size: int, chunks: Chunks) -> tuple[list[str], int]:
    buffer = memoryview(bytearray(min(PIECE, size)))
    names: list[str] = []
    done = 0
    while done < size:
        wanted = buffer[: size - done]
        filled = 0
        while filled < len(wanted) and (count := os.preadv(descriptor, [wanted[filled:]], done + filled)):
            filled += count
        if filled:
            names += chunks.cut(wanted[:filled])
        done += filled
        if filled < len(wanted):
            break  # it was truncated meanwhile
    return names, done


def write(folder: int, record: FileRecord, pieces: Iterable[tuple[str, Buffer | None]], key: bytes) -> None:
    """Make a new file of verified pieces, given by name; if it raises `StateCorrupt` or `OSError`, none."""
    clear(folder, record.name)
    descriptor = os.open(record.name, _CREATE, 0o600, dir_fd=folder)
    try:
        for chunk, piece in pieces:
            _write_all(descriptor, verified(piece, chunk, key))
        _check_size(descriptor, record)
        os.fchmod(descriptor, record.mode)
        os.utime(descriptor, ns=(record.mtime, record.mtime))
    except BaseException:
        os.unlink(record.name, dir_fd=folder)
        raise
    finally:
        os.close(descriptor)


def _check_size(descriptor: int, record: FileRecord) -> None:
    if os.fstat(descriptor).st_size != record.size:
        raise StateCorrupt("its chunks are not as long as its record says")


def clear(folder: int, name: str) -> None:
    """Make room for a file or a link: what has its name goes, unless it is a folder."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _write_all(descriptor: int, data: Buffer) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
