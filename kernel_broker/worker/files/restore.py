"""Bring a listed tree back into the working directory, and nowhere else."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import islice

from kernel_broker.wire.pages import FileRecord
from kernel_broker.worker.files.content import clear, write
from kernel_broker.worker.files.tree import open_folder
from kernel_broker.worker.state.chunks import Fetch, is_whole
from kernel_broker.worker.state.errors import ChunkLost, StateCorrupt

Lost = dict[str, str]
"""Paths that could not be brought back, and why."""


def restore_tree(
    root: int, records: Mapping[str, FileRecord], fetch: Fetch, key: bytes
) -> tuple[Lost, set[str]]:
    """Make what the records list (a folder comes before what is in it).

    Returns what could not be made, and the chunks that are missing or damaged.

    Links are made after all files, so that nothing can be written through one; folders get their modes and
    times last, so that both survive.
    """
    of_kind: dict[str, list[FileRecord]] = {"folder": [], "file": [], "link": []}
    for record in records.values():
        of_kind[record.kind].append(record)
    files = of_kind["file"]
    lost: Lost = {}
    lost_chunks: set[str] = set()
    for record in of_kind["folder"]:
        _attempt(root, record, _make_folder, lost)
    pieces = iter(fetch([chunk for record in files for chunk in record.chunks]))
    for record in files:
        own = zip(record.chunks, islice(pieces, len(record.chunks)), strict=True)
        try:
            _attempt(root, record, partial(write, pieces=own, key=key), lost)
        except ChunkLost as error:
            lost[record.path] = str(error)
            lost_chunks.add(error.name)
        # what a file that failed has not taken is not the next one's
        lost_chunks.update(name for name, piece in own if not is_whole(piece, name, key))
    for record in of_kind["link"]:
        _attempt(root, record, _make_link, lost)
    for record in reversed(of_kind["folder"]):
        _attempt(root, record, _finish_folder, lost)
    return lost, lost_chunks


def _attempt(root: int, record: FileRecord, make: Callable[[int, FileRecord], None], lost: Lost) -> None:
    """Make one thing in the open folder it belongs in; trouble is noted. Raises `ChunkLost`."""
    try:
        folder = open_folder(root, record.parent)
        try:
            make(folder, record)
        finally:
            os.close(folder)
    except OSError as error:
        lost[record.path] = error.strerror or str(error)
    except ChunkLost:
        raise
    except StateCorrupt as error:
        lost[record.path] = str(error)


def _make_folder(folder: int, record: FileRecord) -> None:
    with suppress(FileExistsError):  # a start-up file of the user's was quicker
        os.mkdir(record.name, 0o700, dir_fd=folder)


def _make_link(folder: int, record: FileRecord) -> None:
    clear(folder, record.name)
    os.symlink(record.target, record.name, dir_fd=folder)
    os.utime(record.name, ns=(record.mtime, record.mtime), dir_fd=folder, follow_symlinks=False)


def _finish_folder(folder: int, record: FileRecord) -> None:
    descriptor = open_folder(folder, record.name)
    try:
        os.fchmod(descriptor, record.mode)
        os.utime(descriptor, ns=(record.mtime, record.mtime))
    finally:
        os.close(descriptor)
