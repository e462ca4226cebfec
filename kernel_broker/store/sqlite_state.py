"""Entries, chunks and commits of the embedded store, each function inside one transaction.

`now` is the store's clock.
"""

import json
import sqlite3
from collections.abc import Collection, Mapping

from kernel_broker.store.contract import Buffer, ChunkMissing, Commit, History
from kernel_broker.store.refusals import revision_mismatch, session_missing
from kernel_broker.store.sqlite_history import Growth, Step, advance, hold
from kernel_broker.store.sqlite_sessions import check_lease, forget, get, keep, record_run
from kernel_broker.wire.ids import ChunkId, Revision, SessionId

_AMONG = (
    "chunks.family = (SELECT family FROM sessions WHERE session_id = ?)"
    " AND chunk_id IN (SELECT value FROM json_each(?))"
)
_SWEPT_AT_ONCE = 32
_PAGES_AT_ONCE = 128
_PAGES_SPARE = 1024


def entries(db: sqlite3.Connection, now: float, session_id: SessionId) -> dict[str, bytes]:
    """See `Store.entries`."""
    if get(db, now, session_id) is None:
        raise session_missing(session_id)
    return dict(
        db.execute(
            "SELECT name, data FROM entries WHERE session_id = ? AND until IS NULL", [session_id]
        ).fetchall()
    )


def missing(
    db: sqlite3.Connection, now: float, session_id: SessionId, chunk_ids: Collection[ChunkId]
) -> set[ChunkId]:
    """See `Store.missing`."""
    if get(db, now, session_id) is None:
        return set(chunk_ids)
    wanted = [session_id, json.dumps(list(chunk_ids))]
    there = db.execute(
        f"SELECT chunk_id FROM chunks JOIN chunk_data USING (number) WHERE {_AMONG}",  # noqa: S608
        wanted,
    )
    absent = set(chunk_ids).difference(row[0] for row in there)
    db.execute(
        f"UPDATE chunks SET unreferenced_since = ? WHERE {_AMONG}"  # noqa: S608
        " AND unreferenced_since IS NOT NULL",
        [now, *wanted],
    )
    return absent


def put_chunks(
    db: sqlite3.Connection, now: float, session_id: SessionId, chunks: Mapping[ChunkId, Buffer]
) -> None:
    """See `Store.put_chunks`."""
    if get(db, now, session_id) is None:
        raise session_missing(session_id)
    for chunk_id in missing(db, now, session_id, chunks):
        (number,) = db.execute(
            "INSERT INTO chunks (family, chunk_id, size, unreferenced_since)"
            " SELECT family, ?, ?, ? FROM sessions WHERE session_id = ?"
            " ON CONFLICT DO UPDATE SET size = size RETURNING number",  # known, but its bytes are lost
            [chunk_id, len(chunks[chunk_id]), now, session_id],
        ).fetchone()
        db.execute("INSERT INTO chunk_data VALUES (?, ?)", [number, chunks[chunk_id]])
    keep(db, now, session_id)


def get_chunks(
    db: sqlite3.Connection, now: float, session_id: SessionId, chunk_ids: Collection[ChunkId]
) -> dict[ChunkId, bytes]:
    """See `Store.get_chunks`."""
    if get(db, now, session_id) is None:
        return {}
    rows = db.execute(
        f"SELECT chunk_id, data FROM chunks JOIN chunk_data USING (number) WHERE {_AMONG}",  # noqa: S608
        [session_id, json.dumps(list(chunk_ids))],
    )
    return dict(rows.fetchall())


def discard(
    db: sqlite3.Connection, _now: float, session_id: SessionId, damaged: Mapping[ChunkId, bytes]
) -> None:
    """See `Store.discard`."""
    db.executemany(
        "DELETE FROM chunk_data WHERE data = ? AND number = (SELECT number FROM chunks WHERE chunk_id = ?"
        " AND family = (SELECT family FROM sessions WHERE session_id = ?))",
        [(data, chunk_id, session_id) for chunk_id, data in damaged.items()],
    )


def commit(db: sqlite3.Connection, now: float, commit: Commit, history: History) -> Revision:
    """See `Store.commit`."""
    session_id = commit.lease.session_id
    row = db.execute(
        "SELECT revision FROM sessions WHERE session_id = ? AND token = ? AND expires_at > ?",
        [session_id, commit.token, now],
    ).fetchone()
    if row:  # this very commit was applied before
        return Revision(row[0])
    head = check_lease(db, now, commit.lease)
    if head != commit.parent:
        raise revision_mismatch(session_id, commit.parent, head)
    if absent := missing(db, now, session_id, commit.add):
        raise ChunkMissing(absent)
    run_id = commit.run.run_id if commit.run else None
    step = Step(session_id, commit.at, commit.doc, commit.token, run_id, Revision(head + 1))
    growth = _change_entries(db, step, commit) + _change_references(db, step, commit)
    if commit.run:
        record_run(db, session_id, commit.run)
    db.execute("UPDATE sessions SET lease_until = ? + lease_ttl WHERE session_id = ?", [now, session_id])
    return advance(db, now, step, growth, history)


def _change_entries(db: sqlite3.Connection, step: Step, commit: Commit) -> Growth:
    sizes = db.execute(
        "UPDATE entries SET until = ? WHERE session_id = ? AND until IS NULL"
        " AND name IN (SELECT value FROM json_each(?)) RETURNING length(data)",
        [step.head, step.session_id, json.dumps([*commit.put, *commit.delete])],
    )
    closed = sum(size for (size,) in sizes)
    db.executemany(
        "INSERT INTO entries (session_id, name, since, data) VALUES (?, ?, ?, ?)",
        [(step.session_id, name, step.head, data) for name, data in commit.put.items()],
    )
    return Growth(sum(map(len, commit.put.values())) - closed, closed)


def _change_references(db: sqlite3.Connection, step: Step, commit: Commit) -> Growth:
    held = "EXISTS (SELECT 1 FROM refs WHERE number = chunks.number AND session_id = ? AND until IS NULL)"
    sizes = f"SELECT number, size FROM chunks WHERE {_AMONG}"  # noqa: S608
    session_id, dropped = step.session_id, set(commit.drop).difference(commit.add)
    closed = db.execute(f"{sizes} AND {held}", [session_id, json.dumps(list(dropped)), session_id]).fetchall()
    db.executemany(
        "UPDATE refs SET until = ? WHERE number = ? AND session_id = ? AND until IS NULL",
        [(step.head, number, session_id) for number, _ in closed],
    )
    added = json.dumps(list(commit.add))
    opened = db.execute(f"{sizes} AND NOT {held}", [session_id, added, session_id]).fetchall()
    return hold(db, step, dict(closed), dict(opened))


def expire(db: sqlite3.Connection, now: float) -> int:
    """Remove expired sessions; returns how many."""
    return forget(db, "expires_at <= ?", now)


def sweep(db: sqlite3.Connection, _now: float, before: float) -> int:
    """Remove a few of the chunks that nothing refers to since `before`, or whose session is gone."""
    numbers = db.execute(
        "SELECT number FROM chunks WHERE unreferenced_since <= ? LIMIT ?", [before, _SWEPT_AT_ONCE]
    ).fetchall()
    db.executemany("DELETE FROM chunks WHERE number = ?", numbers)
    return len(numbers)


def vacuum(db: sqlite3.Connection, _now: float) -> bool:
    """Give a few of the file's free pages back, but for some to grow into; True if there are more."""
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    if free > _PAGES_SPARE:
        db.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})").fetchall()
    return bool(free > _PAGES_SPARE)


def probe(db: sqlite3.Connection, now: float) -> None:
    """Write something, so that a file that can only be read is noticed."""
    db.execute("INSERT INTO probe VALUES (1, ?) ON CONFLICT DO UPDATE SET at = excluded.at", [now])
