"""The embedded store: one SQLite file, one broker.

Durability: a commit that was acknowledged survives a kill -9 of the broker. Power loss may take the last
ones (see `sqlite_file.open_database`). Leases of a former broker are void: only one broker can have the
file, so a former one is dead.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

from kernel_broker.store import sqlite_history as past
from kernel_broker.store import sqlite_sessions as sessions
from kernel_broker.store import sqlite_state as state
from kernel_broker.store.batches import by_count, by_size
from kernel_broker.store.contract import (
    HEAD_ALONE,
    Buffer,
    Commit,
    History,
    Lease,
    RevisionRecord,
    RunRecord,
    SessionRecord,
    StoreUnavailable,
)
from kernel_broker.store.sqlite_file import lock_database, open_database, transaction, unavailable
from kernel_broker.wire.ids import ChunkId, Revision, RunId, SessionId

P = ParamSpec("P")
T = TypeVar("T")
Operation = Callable[Concatenate[sqlite3.Connection, float, P], T]

_BYTES_AT_ONCE: Final = 4 << 20
_CHUNKS_AT_ONCE: Final = 8


class SqliteStore:
    """`Store` in a file, or in memory if `path` is None. Every call runs on the one thread it owns."""

    def __init__(
        self, path: Path | None, clock: Callable[[], float] = time.time, history: History = HEAD_ALONE
    ) -> None:
        self._path = path
        self._history = history
        self._clock = clock
        self._thread: ThreadPoolExecutor | None = None
        self._db: sqlite3.Connection | None = None
        self._lock: int | None = None

    async def open(self) -> None:
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        try:
            await asyncio.get_running_loop().run_in_executor(thread, self._connect)
        except BaseException:
            thread.shutdown()
            self._disconnect()  # cancelled: the thread may have connected all the same
            raise
        self._thread = thread

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._disconnect)
            thread.shutdown()

    async def ping(self) -> None:
        await self._write(state.probe)

    async def create(self, record: SessionRecord) -> bool:
        return await self._write(sessions.create, record)

    async def get(self, session_id: SessionId) -> SessionRecord | None:
        return await self._read(sessions.get, session_id)

    async def touch(self, session_id: SessionId, now: float) -> None:
        await self._write(sessions.touch, session_id, now)

    async def delete(self, session_id: SessionId) -> bool:
        existed = await self._write(sessions.delete, session_id)
        await self._sweep(before=0.0)
        return existed

    async def acquire(self, session_id: SessionId, holder: str, ttl: float) -> Lease:
        return await self._write(sessions.acquire, session_id, holder, ttl)

    async def renew(self, lease: Lease, ttl: float) -> None:
        await self._write(sessions.renew, lease, ttl)

    async def release(self, lease: Lease) -> None:
        await self._write(sessions.release, lease)

    async def begin_run(
        self, lease: Lease, run_id: RunId, now: float, ttl: float, token: str = ""
    ) -> RunRecord | None:
        return await self._write(sessions.begin_run, lease, sessions.RunStart(run_id, now, token), ttl)

    async def get_run(self, session_id: SessionId, run_id: RunId) -> RunRecord | None:
        return await self._read(sessions.get_run, session_id, run_id)

    async def entries(self, session_id: SessionId) -> dict[str, bytes]:
        return await self._read(state.entries, session_id)

    async def missing(self, session_id: SessionId, chunk_ids: Collection[ChunkId]) -> set[ChunkId]:
        return await self._write(state.missing, session_id, chunk_ids)

    async def put_chunks(self, session_id: SessionId, chunks: Mapping[ChunkId, Buffer]) -> None:
        for batch in by_size(chunks, _BYTES_AT_ONCE):
            await self._write(state.put_chunks, session_id, batch)

    async def discard(self, session_id: SessionId, damaged: Mapping[ChunkId, bytes]) -> None:
        await self._write(state.discard, session_id, damaged)

    async def get_chunks(self, session_id: SessionId, chunk_ids: Collection[ChunkId]) -> dict[ChunkId, bytes]:
        found: dict[ChunkId, bytes] = {}
        for batch in by_count(chunk_ids, _CHUNKS_AT_ONCE):
            found |= await self._read(state.get_chunks, session_id, batch)
        return found

    async def commit(self, commit: Commit) -> Revision:
        return await self._write(state.commit, commit, self._history)

    async def reset(self, lease: Lease, doc: bytes, now: float) -> Revision:
        step = past.Step(lease.session_id, now, doc)
        return await self._write(past.move, lease, None, step, self._history)

    async def revisions(self, session_id: SessionId) -> Sequence[RevisionRecord]:
        return await self._read(past.revisions, session_id)

    async def checkout(
        self, lease: Lease, revision: Revision, doc: bytes, now: float, token: str = ""
    ) -> Revision:
        step = past.Step(lease.session_id, now, doc, token or None)
        return await self._write(past.move, lease, revision, step, self._history)

    async def fork(self, session_id: SessionId, revision: Revision | None, record: SessionRecord) -> bool:
        return await self._write(past.fork, session_id, revision, record)

    async def collect(self, now: float, grace: float) -> int:
        gone = await self._write(state.expire)
        gone += await self._sweep(before=now - grace)
        while await self._read(state.vacuum):
            pass
        return gone

    async def list(self, owner: str | None = None) -> list[SessionRecord]:
        return await self._read(sessions.list_sessions, owner)

    async def _sweep(self, before: float) -> int:
        gone = 0
        while swept := await self._write(state.sweep, before):
            gone += swept
        return gone

    async def _write(self, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `operation` in a transaction of its own."""

        def work(db: sqlite3.Connection) -> T:
            with transaction(db):
                return operation(db, self._clock(), *args, **kwargs)

        return await self._on_thread(work)

    async def _read(self, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `operation`; with one thread and one connection, nothing changes under it."""
        return await self._on_thread(lambda db: operation(db, self._clock(), *args, **kwargs))

    async def _on_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._thread is None:
            raise StoreUnavailable("the store is closed: the broker is stopping or has not started")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._translated, work)

    def _translated(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._db is None:
            raise StoreUnavailable("the store is closed: the broker is stopping")
        try:
            return work(self._db)
        except (sqlite3.Error, OSError) as error:
            raise unavailable(self._path, error) from error

    def _connect(self) -> None:
        try:
            if self._path is not None:
                self._lock = lock_database(self._path)
            self._db = open_database(self._path)
            with transaction(self._db):
                sessions.void_leases(self._db)
        except (sqlite3.Error, OSError) as error:
            raise unavailable(self._path, error) from error

    def _disconnect(self) -> None:
        db, self._db = self._db, None
        lock, self._lock = self._lock, None
        if db is not None:
            db.close()
        if lock is not None:
            os.close(lock)
