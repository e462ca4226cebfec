"""Entries, chunks and commits of the embedded store, each function inside one transaction.

`now` is the store's clock.
"""

import json
import sqlite3
from collections.abc import Collection, Mapping

from kernel_broker.store.contract import ChunkMissing, Commit, Lease
from kernel_broker.store.refusals import revision_mismatch, session_missing
from kernel_broker.store.sqlite_sessions import check_lease, get, keep, record_run
from kernel_broker.wire.ids import ChunkId, Revision, SessionId

_AMONG = "session_id = ? AND chunk_id IN (SELECT value FROM json_each(?))"
_SWEPT_AT_ONCE = 32
_PAGES_AT_ONCE = 128
_PAGES_SPARE = 1024


def entries(db: sqlite3.Connection, now: float, session_id: SessionId) -> dict[str, bytes]:
    """See `Store.entries`."""
    if get(db, now, session_id) is None:
        raise session_missing(session_id)
    return dict(db.execute("SELECT name, data FROM entries WHERE session_id = ?", [session_id]).fetchall())


def missing(
    db: sqlite3.Connection, now: float, session_id: SessionId, chunk_ids: Collection[ChunkId]
) -> set[ChunkId]:
    """See `Store.missing`."""
    if get(db, now, session_id) is None:
        return set(chunk_ids)
    wanted = [session_id, json.dumps(list(chunk_ids))]
    there = db.execute(f"SELECT chunk_id FROM chunks WHERE {_AMONG}", wanted)  # noqa: S608
    absent = set(chunk_ids).difference(row[0] for row in there)
    db.execute(
        f"UPDATE chunks SET unreferenced_since = ? WHERE {_AMONG}"  # noqa: S608
        " AND unreferenced_since IS NOT NULL",
        [now, *wanted],
    )
    return absent


def put_chunks(
    db: sqlite3.Connection, now: float, session_id: SessionId, chunks: Mapping[ChunkId, bytes]
) -> None:
    """See `Store.put_chunks`."""
    if get(db, now, session_id) is None:
        raise session_missing(session_id)
    for chunk_id in missing(db, now, session_id, chunks):
        number = db.execute(
            "INSERT INTO chunks (session_id, chunk_id, size, unreferenced_since) VALUES (?, ?, ?, ?)",
            [session_id, chunk_id, len(chunks[chunk_id]), now],
        ).lastrowid
        db.execute("INSERT INTO chunk_data VALUES (?, ?)", [number, chunks[chunk_id]])
    keep(db, now, session_id)


def get_chunks(
    db: sqlite3.Connection, now: float, session_id: SessionId, chunk_ids: Collection[ChunkId]
) -> dict[ChunkId, bytes]:
    """See `Store.get_chunks`."""
    rows = db.execute(
        "SELECT chunk_id, data FROM chunks"  # noqa: S608
        f" JOIN chunk_data USING (number) JOIN sessions USING (session_id) WHERE {_AMONG} AND expires_at > ?",
        [session_id, json.dumps(list(chunk_ids)), now],
    )
    return dict(rows.fetchall())


def commit(db: sqlite3.Connection, now: float, step: Commit) -> Revision:
    """See `Store.commit`."""
    session_id = step.lease.session_id
    row = db.execute(
        "SELECT revision FROM sessions WHERE session_id = ? AND token = ? AND expires_at > ?",
        [session_id, step.token, now],
    ).fetchone()
    if row:  # this very commit was applied before
        return Revision(row[0])
    head = check_lease(db, now, step.lease)
    if head != step.parent:
        raise revision_mismatch(session_id, step.parent, head)
    growth = _change_entries(db, session_id, step) + _change_references(db, now, session_id, step)
    db.execute(
        "UPDATE sessions SET revision = revision + 1, doc = ?, token = ?, last_activity = ?, size = size + ?,"
        " lease_until = ? + lease_ttl WHERE session_id = ?",
        [step.doc, step.token, step.at, growth, now, session_id],
    )
    if step.run:
        record_run(db, session_id, step.run)
    keep(db, now, session_id)
    return Revision(head + 1)


def _change_entries(db: sqlite3.Connection, session_id: SessionId, step: Commit) -> int:
    """Put and delete; returns by how many bytes the session grew."""
    (replaced,) = db.execute(
        "SELECT coalesce(sum(length(data)), 0) FROM entries"
        " WHERE session_id = ? AND name IN (SELECT value FROM json_each(?))",
        [session_id, json.dumps([*step.put, *step.delete])],
    ).fetchone()
    db.executemany(
        "DELETE FROM entries WHERE session_id = ? AND name = ?", [(session_id, name) for name in step.delete]
    )
    db.executemany(
        "INSERT INTO entries VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET data = excluded.data",
        [(session_id, name, data) for name, data in step.put.items()],
    )
    return sum(map(len, step.put.values())) - int(replaced)


def _change_references(db: sqlite3.Connection, now: float, session_id: SessionId, step: Commit) -> int:
    """Drop and add; returns by how many bytes the session grew."""
    if absent := missing(db, now, session_id, step.add):
        raise ChunkMissing(absent)
    growth = 0
    dropped, added = json.dumps(list(step.drop)), json.dumps(list(step.add))
    for (size,) in db.execute(
        f"UPDATE chunks SET unreferenced_since = ? WHERE {_AMONG}"  # noqa: S608
        " AND unreferenced_since IS NULL RETURNING size",
        [now, session_id, dropped],
    ):
        growth -= size
    for (size,) in db.execute(
        f"UPDATE chunks SET unreferenced_since = NULL WHERE {_AMONG}"  # noqa: S608
        " AND unreferenced_since IS NOT NULL RETURNING size",
        [session_id, added],
    ):
        growth += size
    return growth


def reset(db: sqlite3.Connection, now: float, lease: Lease, doc: bytes, at: float) -> Revision:
    """See `Store.reset`."""
    head = check_lease(db, now, lease)
    db.execute("DELETE FROM entries WHERE session_id = ?", [lease.session_id])
    db.execute(
        "UPDATE chunks SET unreferenced_since = ? WHERE session_id = ? AND unreferenced_since IS NULL",
        [now, lease.session_id],
    )
    db.execute(
        "UPDATE sessions SET revision = revision + 1, doc = ?, token = NULL, last_activity = ?, size = 0"
        " WHERE session_id = ?",
        [doc, at, lease.session_id],
    )
    keep(db, now, lease.session_id)
    return Revision(head + 1)


def expire(db: sqlite3.Connection, now: float) -> int:
    """Remove expired sessions; returns how many."""
    return db.execute("DELETE FROM sessions WHERE expires_at <= ?", [now]).rowcount


def sweep(db: sqlite3.Connection, _now: float, before: float) -> int:
    """Remove a few of the chunks that nothing refers to since `before`, or whose session is gone."""
    numbers = db.execute(
        "SELECT number FROM chunks WHERE unreferenced_since <= ? UNION ALL"
        " SELECT number FROM chunks WHERE session_id IS NULL LIMIT ?",
        [before, _SWEPT_AT_ONCE],
    ).fetchall()
    db.executemany("DELETE FROM chunks WHERE number = ?", numbers)
    return len(set(numbers))


def vacuum(db: sqlite3.Connection, _now: float) -> bool:
    """Give a few of the file's free pages back, but for some to grow into; True if there are more."""
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    if free > _PAGES_SPARE:
        db.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})").fetchall()
    return bool(free > _PAGES_SPARE)


def probe(db: sqlite3.Connection, now: float) -> None:
    """Write something, so that a file that can only be read is noticed."""
    db.execute("INSERT INTO probe VALUES (1, ?) ON CONFLICT DO UPDATE SET at = excluded.at", [now])
