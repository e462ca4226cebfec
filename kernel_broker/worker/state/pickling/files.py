"""Open files: opened again where they stood, if they are still the files they were."""

import contextlib
import io
import os
from pathlib import Path
from typing import Any

from kernel_broker.worker.state.tombstone import Tombstone

_LONGEST = 64 * 2**20
"""Bytes of a text file that is read again to find where a loop left it."""

_SAMPLE = 2**16
"""Characters that tell how a text file treats the ends of its lines."""

GONE = "is open on a file that is not here, or not the same, any more"


def reduce_file(pickler: Any, file: Any) -> Any:
    """By path, mode and position; one whose file cannot be found again is lost."""
    if file.closed:
        return closed_file, (type(file), getattr(file, "mode", "r"))
    try:
        return _reduce_open(pickler, file)
    except (OSError, ValueError, AttributeError):
        return pickler.losses.tombstone(file)


def _reduce_open(pickler: Any, file: Any) -> Any:
    if not isinstance(file.name, str | bytes | os.PathLike) or not file.seekable():
        return pickler.losses.tombstone(file)
    if file.writable():
        file.flush()  # what sits in a buffer would be lost with the process
    path = Path(os.fsdecode(file.name)).absolute()
    there, here = path.stat(), os.fstat(file.fileno())
    if (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino):
        return pickler.losses.tombstone(file, GONE)
    record = {
        "kind": type(file),
        "name": file.name,
        "mode": file.mode,
        "path": str(path),
        "identity": (here.st_dev, here.st_ino),
        "size": here.st_size,
        "position": _position(file),
        "loss": (pickler.losses.root, f"{type(file).__module__}.{type(file).__name__}", pickler.losses.cell),
    }
    if isinstance(file, io.TextIOWrapper):
        newline = "" if _keeps_line_ends(file, record["position"]) else None
        record["text"] = {"encoding": file.encoding, "errors": file.errors, "newline": newline}
    return reopened, (record,)


def _position(file: Any) -> int:
    """Where a file stands. One that a loop was reading line by line has to look for it."""
    try:
        return file.tell()
    except OSError:
        if not isinstance(file, io.TextIOWrapper) or os.fstat(file.fileno()).st_size > _LONGEST:
            raise
    rest = len(file.read())
    file.seek(0)
    file.read(len(file.read()) - rest + file.seek(0))
    return file.tell()


def _keeps_line_ends(file: Any, position: int) -> bool:
    """Whether a text file gives the ends of its lines as they are: what it was told is not to be had."""
    if not file.readable():
        return False
    file.seek(0)
    try:
        return "\r" in file.read(_SAMPLE)
    except UnicodeError:
        return False
    finally:
        file.seek(position)


def closed_file(kind: type, mode: str) -> Any:
    """A file that was closed."""
    with Path(os.devnull).open("wb" if kind is io.BufferedWriter else "rb") as raw:
        file: Any = io.TextIOWrapper(raw) if kind is io.TextIOWrapper else raw
    if kind is io.TextIOWrapper:
        file.mode = mode
    return file


def reduce_buffer(_pickler: Any, buffer: Any) -> Any:
    """An open one knows how; a closed one is all there is to say of it."""
    return (closed_buffer, (type(buffer),)) if buffer.closed else NotImplemented


def closed_buffer(kind: Any) -> Any:
    """A file in memory that was closed."""
    buffer = kind()
    buffer.close()
    return buffer


def reopened(record: dict[str, Any]) -> Any:
    """The file, open at its position, or a tombstone."""
    name, kind, cell = record["loss"]
    path, mode = Path(record["path"]), record["mode"]
    try:
        there = path.stat()
    except OSError:
        return Tombstone(name, kind, GONE, cell)
    if (there.st_dev, there.st_ino) != record["identity"] or there.st_size < record["size"]:
        return Tombstone(name, kind, GONE, cell)
    again = mode.replace("w", "r").replace("x", "r")
    if again != mode and "+" not in again:
        again += "+"
    buffering = 0 if record["kind"] is io.FileIO else -1
    file: Any = path.open(again, buffering, **record.get("text", {}))
    file.seek(record["position"])
    with contextlib.suppress(AttributeError):
        getattr(getattr(file, "buffer", file), "raw", file).name = record["name"]
    if "text" in record:
        file.mode = mode
    return file
