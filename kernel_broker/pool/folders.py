"""Working directories for workers whose files travel: each is private to one worker, and goes with it.

A broker holds one numbered slot below the base folder, by a lock that ends with its process, and removes what
others have left behind. A session's folder has the same path in every pod whose slot has the same number, so
that paths which a cell has remembered stay right.
"""

import asyncio
import fcntl
import logging
import os
import secrets
import stat
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from kernel_broker.errors import Unavailable

log = logging.getLogger(__name__)

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HANDLE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ATTEMPTS = 10


class Folder:
    """The working directory of one worker."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._removal: asyncio.Future[None] | None = None
        self.gone = asyncio.Event()

    async def remove(self) -> None:
        """Remove it with all that is in it. Idempotent; call when the worker has ended."""
        if self._removal is None:
            self._removal = asyncio.ensure_future(asyncio.to_thread(_remove_quietly, self.path))
            self._removal.add_done_callback(lambda _: self.gone.set())
        await asyncio.shield(self._removal)


class Folders:
    """The folders of this broker's workers."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._slot: Path | None = None
        self._lock: int | None = None
        self._taken: dict[str, Folder] = {}

    async def open(self) -> None:
        """Remove what brokers that were killed have left."""
        if self._base.exists():
            try:
                await asyncio.to_thread(self._claim)
            except OSError as error:  # said again, to whom it concerns, when a folder is wanted
                log.warning("%s cannot be used for working directories: %s", self._base, error.strerror)

    async def make(self) -> Folder:
        """A fresh, empty folder whose name nobody can know. Raises `Unavailable`."""
        return await self.take(f".{secrets.token_hex(16)}")

    async def take(self, name: str, draft: Folder | None = None) -> Folder:
        """A fresh, empty folder; waits until an earlier one of that name is gone. Raises `Unavailable`.

        A `draft` is one from `make`, which from now on has that name.
        """
        while (earlier := self._taken.get(name)) is not None and not earlier.gone.is_set():
            await earlier.gone.wait()
        try:
            if self._slot is None:
                self._claim()
            assert self._slot is not None
            folder = Folder(self._slot / name)
            if folder.path.exists():
                await asyncio.to_thread(remove_tree, folder.path)
            if draft is None:
                folder.path.mkdir(0o700)
            else:
                draft.path.rename(folder.path)
        except OSError as error:
            raise Unavailable(
                f"no working directory can be made below {str(self._base)!r}: {error.strerror}",
                code="workers_unavailable",
                retry_after=5,
            ) from error
        self._taken = {key: other for key, other in self._taken.items() if not other.gone.is_set()}
        self._taken[name] = folder
        if draft is not None:
            draft.gone.set()
        return folder

    async def close(self) -> None:
        """Remove everything, and give the slot to whoever wants it."""
        if self._slot is not None:
            await asyncio.to_thread(_remove_quietly, self._slot)
        if self._lock is not None:
            os.close(self._lock)
        self._slot = self._lock = None

    def _claim(self) -> None:
        _make_private(self._base)
        for number in count():
            lock = _try_lock(self._base / f"{number}.lock")
            if lock is not None:
                break
        for left in self._left_behind():
            _remove_quietly(left)
        slot = self._base / str(number)
        if slot.exists():
            remove_tree(slot)
        slot.mkdir(0o700)
        self._slot, self._lock = slot, lock

    def _left_behind(self) -> Iterator[Path]:
        for path in self._base.glob("*.lock"):
            lock = _try_lock(path)
            if lock is not None:
                try:
                    if path.with_suffix("").exists():
                        yield path.with_suffix("")
                finally:
                    os.close(lock)


def _make_private(base: Path) -> None:
    """The base folder, of ours alone: whoever could write in it could lead us elsewhere."""
    base.mkdir(0o700, parents=True, exist_ok=True)
    status = base.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise PermissionError(1, "it must be a folder of this user's that no other can write to")


def _try_lock(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_quietly(path: Path) -> None:
    try:
        remove_tree(path)
    except OSError:
        log.exception("the folder %s cannot be removed; the next broker will try again", path)


def remove_tree(path: Path) -> None:
    """Remove a folder with all that is in it, however deep and whatever its modes; no link is followed.

    What is nested is moved up before its folder goes, so that neither recursion nor a path can be too long.
    """
    top = _open_unlocked(path, None)
    try:
        left = _ATTEMPTS
        while folders := _unlink_files(top):
            for name in folders:
                try:
                    _hoist(top, name)
                except OSError:  # a process that has outlived its worker still writes
                    left -= 1
                    if not left:
                        raise
    finally:
        os.close(top)
    path.rmdir()


def _unlink_files(folder: int) -> list[str]:
    """Unlink all but the folders; their names."""
    with os.scandir(folder) as scan:
        items = [(item.name, item.is_dir(follow_symlinks=False)) for item in scan]
    for name, is_folder in items:
        if not is_folder:
            os.unlink(name, dir_fd=folder)
    return [name for name, is_folder in items if is_folder]


def _hoist(top: int, name: str) -> None:
    folder = _open_unlocked(name, top)
    try:
        for inner in _unlink_files(folder):
            os.close(_open_unlocked(inner, folder))
            os.rename(inner, f".{secrets.token_hex(16)}", src_dir_fd=folder, dst_dir_fd=top)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=top)


def _open_unlocked(path: Path | str, above: int | None) -> int:
    """A descriptor of a folder whose mode is made to allow everything first."""
    handle = os.open(path, _HANDLE, dir_fd=above)
    try:
        Path(f"/proc/self/fd/{handle}").chmod(0o700)  # of this folder, whatever its name leads to by now
    finally:
        os.close(handle)
    return os.open(path, _FOLDER, dir_fd=above)
