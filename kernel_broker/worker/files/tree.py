"""The working directory seen through descriptors: walk it, and open what is in it, never following a link."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DEPTH = 100
"""Folders nested deeper than this are not looked into: each level holds a descriptor."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Found:
    """One name in the tree. `refused` says why its content cannot be looked at."""

    path: str
    stat: os.stat_result
    refused: str | None = None


def open_root(folder: Path) -> int:
    """A descriptor of the working directory; the caller closes it."""
    return os.open(folder, _FOLDER)


def open_folder(root: int, path: str) -> int:
    """A descriptor of a folder in the tree (an empty path: the root itself); the caller closes it.

    Raises `OSError`, also where a part of the path is a link.
    """
    here = os.dup(root)
    for part in path.split("/") if path else ():
        above = here
        try:
            here = os.open(part, _FOLDER, dir_fd=above)
        finally:
            os.close(above)
    return here


def read_link(root: int, path: str) -> str:
    """Where a link points."""
    folder = open_folder(root, path.rpartition("/")[0])
    try:
        return os.readlink(path.rpartition("/")[2], dir_fd=folder)
    finally:
        os.close(folder)


def walk(root: int) -> Iterator[Found]:
    """Everything below the root, a folder before what is in it."""
    yield from _walk(root, "", 0)


def _walk(folder: int, prefix: str, depth: int) -> Iterator[Found]:
    with os.scandir(folder) as scan:
        items = sorted(scan, key=lambda item: item.name)
    for item in items:
        try:
            status = item.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue  # something of the user's works in the background
        path = prefix + item.name
        if stat.S_ISDIR(status.st_mode):
            yield from _enter(folder, path, status, depth + 1)
        else:
            yield Found(path, status)


def _enter(above: int, path: str, status: os.stat_result, depth: int) -> Iterator[Found]:
    if depth > DEPTH:
        yield Found(path, status, f"it is nested deeper than {DEPTH} folders")
        return
    try:
        folder = os.open(path.rpartition("/")[2], _FOLDER, dir_fd=above)
    except FileNotFoundError:
        return
    except OSError as error:
        yield Found(path, status, f"it cannot be read ({error.strerror})")
        return
    try:
        yield Found(path, status)
        yield from _walk(folder, path + "/", depth)
    finally:
        os.close(folder)
