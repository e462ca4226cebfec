"""A store's file of the first version, which kept the head alone, in the hands of this one."""

import sqlite3
from pathlib import Path

from samples import A, B

from kernel_broker.store.contract import History, SessionRecord
from kernel_broker.store.sqlite import SqliteStore
from kernel_broker.wire.ids import Revision, RunId, SessionId

SCHEMA_1 = """
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY, owner TEXT NOT NULL, revision INTEGER NOT NULL, created_at REAL NOT NULL,
    last_activity REAL NOT NULL, ttl REAL NOT NULL, doc BLOB NOT NULL, size INTEGER NOT NULL,
    expires_at REAL NOT NULL, epoch INTEGER NOT NULL, holder TEXT, lease_ttl REAL NOT NULL,
    lease_until REAL NOT NULL, token TEXT
);
CREATE INDEX sessions_by_owner ON sessions (owner);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE TABLE entries (
    session_id TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
    name TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (session_id, name)
);
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, session_id TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
    run_id TEXT NOT NULL, finished INTEGER NOT NULL, revision INTEGER NOT NULL, log BLOB NOT NULL,
    UNIQUE (session_id, run_id)
);
CREATE TABLE chunks (
    number INTEGER PRIMARY KEY, session_id TEXT REFERENCES sessions ON DELETE SET NULL,
    chunk_id TEXT NOT NULL, size INTEGER NOT NULL, unreferenced_since REAL, UNIQUE (session_id, chunk_id)
);
CREATE INDEX chunks_unreferenced ON chunks (unreferenced_since) WHERE unreferenced_since IS NOT NULL;
CREATE TABLE chunk_data (
    number INTEGER PRIMARY KEY REFERENCES chunks ON DELETE CASCADE, data BLOB NOT NULL
);
CREATE TABLE probe (number INTEGER PRIMARY KEY, at REAL NOT NULL);
PRAGMA user_version = 1;
"""
ROWS = """
INSERT INTO sessions VALUES ('s', 'ada', 3, 1, 2, 3600, x'64', 5, 9e9, 7, NULL, 0, 0, NULL);
INSERT INTO sessions VALUES ('t', 'bob', 1, 1, 2, 3600, x'64', 2, 9e9, 7, NULL, 0, 0, NULL);
INSERT INTO entries VALUES ('s', 'x', x'616263');
INSERT INTO runs VALUES (1, 's', 'r', 1, 3, x'6c6f67');
INSERT INTO chunks VALUES (1, 's', 'aa', 2, NULL), (2, 's', 'bb', 2, 5.0), (3, NULL, 'aa', 2, NULL),
    (4, 't', 'aa', 2, NULL);
INSERT INTO chunk_data VALUES (1, x'4141'), (2, x'4242'), (3, x'4343'), (4, x'4444');
"""
S, T = SessionId("s"), SessionId("t")


async def test_everything_is_there_and_what_nobody_has_is_collected(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "store.db")
    db.executescript(SCHEMA_1 + ROWS)
    db.close()
    store = SqliteStore(tmp_path / "store.db", history=History(5))
    await store.open()
    assert await store.get(S) == SessionRecord(S, "ada", Revision(3), 1.0, 2.0, 3600.0, b"d", 5)
    assert await store.entries(S) == {"x": b"abc"}
    assert (await store.get_run(S, RunId("r"))).log == b"log"
    assert await store.get_chunks(S, [A, B]) == {A: b"AA", B: b"BB"}
    assert await store.get_chunks(T, [A, B]) == {A: b"DD"}
    assert [revision.revision for revision in await store.revisions(S)] == [3]
    assert await store.collect(1000.0, 60) == 2
    assert await store.get_chunks(S, [A, B]) == {A: b"AA"}
    lease = await store.acquire(S, "pod", 30)
    assert await store.reset(lease, b"", 5.0) == 4
    assert await store.checkout(lease, Revision(3), b"", 6.0) == 5
    assert await store.entries(S) == {"x": b"abc"}
    await store.close()
    await store.open()
    assert await store.delete(S)
    assert store._db.execute("SELECT number FROM chunk_data").fetchall() == [(4,)]
    assert store._db.execute("PRAGMA foreign_key_check").fetchall() == []
    await store.close()
