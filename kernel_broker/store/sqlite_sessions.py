"""Sessions, leases and runs of the embedded store, each function inside one transaction.

`now` is the store's clock.
"""

import json
import secrets
import sqlite3
from dataclasses import dataclass, replace

from kernel_broker.store.contract import RUNS_KEPT, Lease, RunRecord, SessionRecord
from kernel_broker.store.refusals import lease_held, session_missing, stale_lease
from kernel_broker.wire.ids import Epoch, Revision, RunId, SessionId

_RECORD = "session_id, owner, revision, created_at, last_activity, ttl, doc, size"


def create(db: sqlite3.Connection, now: float, record: SessionRecord) -> bool:
    """See `Store.create`."""
    if get(db, now, record.session_id):
        return False
    insert(db, now, replace(record, size=0), secrets.randbits(62))
    return True


def insert(db: sqlite3.Connection, now: float, record: SessionRecord, family: int) -> None:
    """Make a session of this family, at the record's revision, that holds nothing yet."""
    forget(db, "session_id = ?", record.session_id)  # an expired one
    db.execute(
        f"INSERT INTO sessions ({_RECORD}, expires_at, epoch, lease_ttl, lease_until, family)"  # noqa: S608
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?)",
        [
            record.session_id,
            record.owner,
            record.revision,
            record.created_at,
            record.last_activity,
            record.ttl,
            record.doc,
            record.size,
            now + record.ttl,
            int(now * 1e6),  # epochs start at the time, so that a deleted namesake's lease never fits
            family,
        ],
    )
    record_revision(db, record.session_id, record.last_activity)


def forget(db: sqlite3.Connection, which: str, value: str | float) -> int:
    """Remove sessions; chunks that no other one refers to are swept next. Returns how many went."""
    rows = db.execute(f"DELETE FROM sessions WHERE {which} RETURNING family", [value]).fetchall()  # noqa: S608
    db.execute(
        "UPDATE chunks SET unreferenced_since = 0 WHERE family IN (SELECT value FROM json_each(?))"
        " AND NOT EXISTS (SELECT 1 FROM refs WHERE refs.number = chunks.number)"
        " AND (unreferenced_since IS NULL"
        " OR NOT EXISTS (SELECT 1 FROM sessions WHERE sessions.family = chunks.family))",
        [json.dumps([family for (family,) in rows])],
    )
    return len(rows)


def record_revision(
    db: sqlite3.Connection, session_id: SessionId, at: float, run_id: str | None = None
) -> None:
    """Keep what the session's head is known by."""
    db.execute(
        "INSERT INTO revisions SELECT session_id, revision, ?, ?, doc, size FROM sessions"
        " WHERE session_id = ?",
        [at, run_id, session_id],
    )


def get(db: sqlite3.Connection, now: float, session_id: SessionId) -> SessionRecord | None:
    """See `Store.get`."""
    row = db.execute(
        f"SELECT {_RECORD} FROM sessions WHERE session_id = ? AND expires_at > ?",  # noqa: S608
        [session_id, now],
    ).fetchone()
    return SessionRecord(*row) if row else None


def list_sessions(db: sqlite3.Connection, now: float, owner: str | None) -> list[SessionRecord]:
    """See `Store.list`."""
    rows = db.execute(
        f"SELECT {_RECORD} FROM sessions WHERE expires_at > ? AND (? IS NULL OR owner = ?)"  # noqa: S608
        " ORDER BY last_activity DESC, session_id",
        [now, owner, owner],
    )
    return [SessionRecord(*row) for row in rows]


def touch(db: sqlite3.Connection, now: float, session_id: SessionId, at: float) -> None:
    """See `Store.touch`."""
    db.execute(
        "UPDATE sessions SET last_activity = ? WHERE session_id = ? AND expires_at > ?", [at, session_id, now]
    )
    keep(db, now, session_id)


def delete(db: sqlite3.Connection, now: float, session_id: SessionId) -> bool:
    """See `Store.delete`; the bytes of its chunks go with `sweep`."""
    alive = get(db, now, session_id) is not None
    forget(db, "session_id = ?", session_id)
    return alive


def acquire(db: sqlite3.Connection, now: float, session_id: SessionId, holder: str, ttl: float) -> Lease:
    """See `Store.acquire`."""
    row = db.execute(
        "SELECT holder, lease_until, epoch FROM sessions WHERE session_id = ? AND expires_at > ?",
        [session_id, now],
    ).fetchone()
    if row is None:
        raise session_missing(session_id)
    other, until, epoch = row
    if other is not None and other != holder and until > now:
        raise lease_held(other, until - now)
    db.execute(
        "UPDATE sessions SET holder = ?, epoch = ?, lease_ttl = ?, lease_until = ? WHERE session_id = ?",
        [holder, epoch + 1, ttl, now + ttl, session_id],
    )
    keep(db, now, session_id)
    return Lease(session_id, holder, Epoch(epoch + 1))


def renew(db: sqlite3.Connection, now: float, lease: Lease, ttl: float) -> None:
    """See `Store.renew`."""
    check_lease(db, now, lease)
    db.execute(
        "UPDATE sessions SET lease_ttl = ?, lease_until = ? WHERE session_id = ?",
        [ttl, now + ttl, lease.session_id],
    )
    keep(db, now, lease.session_id)


def release(db: sqlite3.Connection, now: float, lease: Lease) -> None:
    """See `Store.release`."""
    db.execute(
        "UPDATE sessions SET holder = NULL"
        " WHERE session_id = ? AND holder = ? AND epoch = ? AND expires_at > ?",
        [lease.session_id, lease.holder, lease.epoch, now],
    )


def void_leases(db: sqlite3.Connection) -> None:
    """Forget every holder: whoever had this file before is dead, or the lock would not be ours."""
    db.execute("UPDATE sessions SET holder = NULL WHERE holder IS NOT NULL")


@dataclass(frozen=True, slots=True)
class RunStart:
    """What `Store.begin_run` is told of a run."""

    run_id: RunId
    at: float
    token: str


def begin_run(
    db: sqlite3.Connection, now: float, lease: Lease, start: RunStart, ttl: float
) -> RunRecord | None:
    """See `Store.begin_run`."""
    head = check_lease(db, now, lease)
    known = _find_run(db, now, lease.session_id, start.run_id)
    if known is not None:
        repeated = not known.finished and start.token and known.log == start.token.encode()
        return None if repeated else _shown(known)
    record_run(db, lease.session_id, RunRecord(start.run_id, False, head, start.token.encode()))
    db.execute(
        "UPDATE sessions SET last_activity = ?, lease_ttl = ?, lease_until = ? WHERE session_id = ?",
        [start.at, ttl, now + ttl, lease.session_id],
    )
    keep(db, now, lease.session_id)
    return None


def get_run(db: sqlite3.Connection, now: float, session_id: SessionId, run_id: RunId) -> RunRecord | None:
    """See `Store.get_run`."""
    known = _find_run(db, now, session_id, run_id)
    return None if known is None else _shown(known)


def _shown(run: RunRecord) -> RunRecord:
    """What a begun run has in the log's place is the token of its start."""
    return run if run.finished else replace(run, log=b"")


def _find_run(db: sqlite3.Connection, now: float, session_id: SessionId, run_id: RunId) -> RunRecord | None:
    row = db.execute(
        "SELECT finished, runs.revision, log FROM runs JOIN sessions USING (session_id)"
        " WHERE session_id = ? AND run_id = ? AND expires_at > ?",
        [session_id, run_id, now],
    ).fetchone()
    return RunRecord(run_id, bool(row[0]), Revision(row[1]), row[2]) if row else None


def check_lease(db: sqlite3.Connection, now: float, lease: Lease) -> Revision:
    """The head revision, if `lease` is the session's lease."""
    row = db.execute(
        "SELECT revision, holder, epoch FROM sessions WHERE session_id = ? AND expires_at > ?",
        [lease.session_id, now],
    ).fetchone()
    if row is None:
        raise session_missing(lease.session_id)
    if row[1:] != (lease.holder, lease.epoch):
        raise stale_lease(lease)
    return Revision(row[0])


def keep(db: sqlite3.Connection, now: float, session_id: SessionId) -> None:
    """Start the session's ttl anew; it never ends before its lease does."""
    db.execute(
        "UPDATE sessions SET expires_at = max(? + ttl, iif(holder IS NULL, 0, lease_until))"
        " WHERE session_id = ? AND expires_at > ?",
        [now, session_id, now],
    )


def record_run(db: sqlite3.Connection, session_id: SessionId, run: RunRecord) -> None:
    db.execute(
        "INSERT INTO runs (session_id, run_id, finished, revision, log) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (session_id, run_id) DO UPDATE"
        " SET finished = excluded.finished, revision = excluded.revision, log = excluded.log",
        [session_id, run.run_id, run.finished, run.revision, run.log],
    )
    db.execute(
        "DELETE FROM runs WHERE number IN (SELECT number FROM runs WHERE session_id = ?"
        " ORDER BY number DESC LIMIT -1 OFFSET ?)",
        [session_id, RUNS_KEPT],
    )
