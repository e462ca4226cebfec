"""The database file of the embedded store: who may have it, how it is opened, what its errors mean."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from kernel_broker.store.contract import StoreUnavailable
from kernel_broker.store.sqlite_schema import SCHEMA_VERSION, statements

_WAL_LIMIT: Final = 64 << 20


def open_database(path: Path | None) -> sqlite3.Connection:
    """Open the database (None: one in memory), make or renew its tables, and refuse a newer schema.

    Journal: WAL with synchronous=NORMAL. A commit that returned is in the operating system's hands: it
    survives a kill -9 of the process. A power loss or a crash of the machine may take the last commits with
    it (those since the last checkpoint), never a part of one, and never corrupts the file.
    """
    if path is not None:
        # Made here, because SQLite gives a new file (and then its WAL) whatever the umask allows.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
    db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
        db.execute("PRAGMA temp_store = MEMORY")
        _check_schema(db)
        db.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        db.close()
        raise
    return db


def _check_schema(db: sqlite3.Connection) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise StoreUnavailable(
            f"the store's file has schema {version}, this version knows up to {SCHEMA_VERSION}: a newer"
            " serverless-ipykernel wrote it. Upgrade this one, or set KERNEL_BROKER_STORE_URL to another file"
        )
    if version < SCHEMA_VERSION:
        with transaction(db):
            for statement in statements(version):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; whatever is raised inside takes everything back."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite has rolled back by itself on some errors (disk full, I/O)
            db.execute("ROLLBACK")
        raise


def lock_database(path: Path) -> int:
    """Take the lock file beside the database for the life of the returned descriptor, or refuse.

    The kernel lets go of the lock when its process dies, however it dies.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock_path = path.with_name(path.name + ".lock")
    lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
        os.close(lock)
        if not isinstance(error, BlockingIOError):
            raise
        raise StoreUnavailable(
            f"{path} belongs to a running broker (process {holder or 'unknown'}): use that one, stop it, or"
            " set KERNEL_BROKER_STORE_URL to another file; brokers share a state only through Redis"
        ) from None
    with suppress(OSError):  # a full disk: the process id is only for the message above
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


_MEANINGS: Final = {
    "SQLITE_FULL": "its disk is full. Free some space; nothing was changed",
    "SQLITE_READONLY": "it cannot be written. Check the permissions of the file, its directory and the mount",
    "SQLITE_CANTOPEN": "it cannot be opened. Check that the directory exists and belongs to this user",
    "SQLITE_CORRUPT": "it is damaged. Stop the broker and restore the file, or move it away to start empty",
    "SQLITE_NOTADB": "it is not a database of this broker. Move the file away or name another one",
    "SQLITE_BUSY": "another program has it locked. Close what has the file open",
    "SQLITE_LOCKED": "another program has it locked. Close what has the file open",
    "SQLITE_IOERR": "reading or writing it failed. Check the disk and the system's log",
    "SQLITE_NOMEM": "the broker is out of memory",
    "SQLITE_TOOBIG": "a value is larger than it can hold (1 GB)",
}


def unavailable(path: Path | None, error: Exception) -> StoreUnavailable:
    """What a failure of SQLite or of the file system means, and what to do about it."""
    if isinstance(error, OSError):
        meaning = f"{error.strerror or error}. Check the directory, its permissions and the disk"
    else:
        name = getattr(error, "sqlite_errorname", "")
        known = (text for prefix, text in _MEANINGS.items() if name.startswith(prefix))
        meaning = next(known, f"{error} ({name or type(error).__name__})")
    return StoreUnavailable(f"the store {path or 'in memory'}: {meaning}", retry_after=5.0)
