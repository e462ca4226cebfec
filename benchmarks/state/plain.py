"""Bytes put in a store and got back, as a reasonable person would without us."""

import sqlite3
from pathlib import Path
from typing import Any, Protocol

import redis

PIECE = 2**20
_AT_ONCE = 8


class Plain(Protocol):
    """A store of bytes, in pieces of 1 MiB, eight at a time."""

    def put(self, data: memoryview) -> None:
        """Replace what is there."""

    def get(self, into: memoryview) -> None:
        """The bytes, each where it belongs."""


class PlainRedis:
    """redis-py with hiredis: SET and GET in pipelines."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url)

    def put(self, data: memoryview) -> None:
        for batch in _batches(len(data)):
            pipe = self._redis.pipeline(transaction=False)
            for start in batch:
                pipe.set(f"plain:{start}", data[start : start + PIECE])
            pipe.execute()

    def get(self, into: memoryview) -> None:
        for batch in _batches(len(into)):
            pipe = self._redis.pipeline(transaction=False)
            for start in batch:
                pipe.get(f"plain:{start}")
            for start, piece in zip(batch, pipe.execute(), strict=True):
                into[start : start + PIECE] = piece


class PlainSqlite:
    """Rows in a file, as durable as our embedded store: WAL, not synced at every commit."""

    def __init__(self, path: Path) -> None:
        self._db: Any = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("CREATE TABLE plain (start INTEGER PRIMARY KEY, data BLOB)")

    def put(self, data: memoryview) -> None:
        for batch in _batches(len(data)):
            self._db.execute("BEGIN")
            self._db.executemany(
                "INSERT OR REPLACE INTO plain VALUES (?, ?)", [(at, data[at : at + PIECE]) for at in batch]
            )
            self._db.execute("COMMIT")

    def get(self, into: memoryview) -> None:
        for batch in _batches(len(into)):
            query = "SELECT start, data FROM plain WHERE start >= ? AND start <= ?"
            for start, piece in self._db.execute(query, (batch[0], batch[-1])):
                into[start : start + PIECE] = piece


def _batches(size: int) -> list[range]:
    step = PIECE * _AT_ONCE
    return [range(first, min(first + step, size), PIECE) for first in range(0, size, step)]
