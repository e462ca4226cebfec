"""Heads of the embedded store that follow each other, and the past that is kept, each function inside one
transaction.

`now` is the store's clock.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from kernel_broker.store.contract import History, Lease, RevisionRecord, SessionRecord
from kernel_broker.store.refusals import revision_missing, session_missing
from kernel_broker.store.sqlite_sessions import check_lease, get, insert, keep, record_revision
from kernel_broker.wire.ids import Revision, RunId, SessionId

START: Final = Revision(0)
_AT = "session_id = ? AND since <= ? AND (until IS NULL OR until > ?)"


@dataclass(frozen=True, slots=True)
class Step:
    """From a session's head to the next one."""

    session_id: SessionId
    at: float
    doc: bytes
    token: str | None = None
    run_id: str | None = None
    head: Revision = START
    """The new one."""


@dataclass(frozen=True, slots=True)
class Growth:
    """By how many bytes a step lets the head grow, and what only old revisions hold."""

    head: int
    old: int

    def __add__(self, other: "Growth") -> "Growth":
        return Growth(self.head + other.head, self.old + other.old)


def hold(db: sqlite3.Connection, step: Step, closed: Mapping[int, int], opened: Mapping[int, int]) -> Growth:
    """Refer to the chunks `opened` from the new head on; those `closed` have just ended (number -> size)."""
    db.executemany(
        "INSERT INTO refs VALUES (?, ?, ?, NULL)",
        [(step.session_id, number, step.head) for number in opened],
    )
    db.execute(
        "UPDATE chunks SET unreferenced_since = NULL WHERE number IN (SELECT value FROM json_each(?))"
        " AND unreferenced_since IS NOT NULL",
        [json.dumps(list(opened))],
    )
    returned = db.execute(
        "SELECT DISTINCT number FROM refs WHERE session_id = ? AND until IS NOT NULL"
        " AND number IN (SELECT value FROM json_each(?))",
        [step.session_id, json.dumps([number for number in opened if number not in closed])],
    )
    left = sum(size for number, size in closed.items() if number not in opened)
    return Growth(
        sum(opened.values()) - sum(closed.values()), left - sum(opened[number] for (number,) in returned)
    )


def advance(db: sqlite3.Connection, now: float, step: Step, growth: Growth, history: History) -> Revision:
    """Make the step's head the session's, its entries and references being in place; trim what is too old."""
    db.execute(
        "UPDATE sessions SET revision = ?, doc = ?, token = ?, last_activity = ?, size = size + ?,"
        " old_size = old_size + ? WHERE session_id = ?",
        [step.head, step.doc, step.token, step.at, growth.head, growth.old, step.session_id],
    )
    record_revision(db, step.session_id, step.at, step.run_id)
    _trim(db, now, step, history)
    keep(db, now, step.session_id)
    return step.head


def _trim(db: sqlite3.Connection, now: float, step: Step, history: History) -> None:
    """Forget the oldest revisions, as long as there are too many of them or they hold too much."""
    first = step.head - max(1, history.revisions) + 1
    while True:
        floor, old_size = db.execute(
            "SELECT min(revisions.revision), old_size FROM revisions JOIN sessions USING (session_id)"
            " WHERE session_id = ?",
            [step.session_id],
        ).fetchone()
        if floor >= first and (old_size <= history.size or floor == step.head):
            return
        _forget(db, now, step.session_id, floor)


def _forget(db: sqlite3.Connection, now: float, session_id: SessionId, oldest: int) -> None:
    ended = [session_id, oldest + 1]
    db.execute("DELETE FROM revisions WHERE session_id = ? AND revision = ?", [session_id, oldest])
    (freed,) = db.execute(
        "SELECT coalesce(sum(length(data)), 0) FROM entries WHERE session_id = ? AND until <= ?", ended
    ).fetchone()
    db.execute("DELETE FROM entries WHERE session_id = ? AND until <= ?", ended)
    rows = db.execute("DELETE FROM refs WHERE session_id = ? AND until <= ? RETURNING number", ended)
    let_go = json.dumps([number for (number,) in rows])
    (chunks,) = db.execute(
        "SELECT coalesce(sum(size), 0) FROM chunks WHERE number IN (SELECT value FROM json_each(?))"
        " AND NOT EXISTS (SELECT 1 FROM refs WHERE refs.number = chunks.number AND session_id = ?)",
        [let_go, session_id],
    ).fetchone()
    db.execute(
        "UPDATE chunks SET unreferenced_since = ? WHERE number IN (SELECT value FROM json_each(?))"
        " AND NOT EXISTS (SELECT 1 FROM refs WHERE refs.number = chunks.number)",
        [now, let_go],
    )
    db.execute(
        "UPDATE sessions SET old_size = old_size - ? WHERE session_id = ?", [freed + chunks, session_id]
    )


def revisions(db: sqlite3.Connection, now: float, session_id: SessionId) -> Sequence[RevisionRecord]:
    """See `Store.revisions`."""
    if get(db, now, session_id) is None:
        raise session_missing(session_id)
    ends = "coalesce(until, 1 << 62)"
    alone = dict(
        db.execute(
            f"SELECT {ends} - 1, sum(length(data)) FROM entries WHERE session_id = ? GROUP BY 1",  # noqa: S608
            [session_id],
        ).fetchall()
    )
    for last, size in db.execute(
        f"SELECT last - 1, sum(size) FROM (SELECT number, max({ends}) AS last FROM refs"  # noqa: S608
        " WHERE session_id = ? GROUP BY number) JOIN chunks USING (number) GROUP BY 1",
        [session_id],
    ):
        alone[last] = alone.get(last, 0) + size
    rows = db.execute(
        "SELECT revision, at, run_id, doc, size FROM revisions WHERE session_id = ? ORDER BY revision",
        [session_id],
    )
    return [
        RevisionRecord(Revision(number), at, run_id and RunId(run_id), doc, size, alone.get(number, 0))
        for number, at, run_id, doc, size in rows
    ]


def move(
    db: sqlite3.Connection, now: float, lease: Lease, revision: Revision | None, step: Step, history: History
) -> Revision:
    """See `Store.checkout`, and with no revision `Store.reset`; `step` lacks its head only."""
    session_id = lease.session_id
    row = db.execute(
        "SELECT revision FROM sessions WHERE session_id = ? AND token = ? AND expires_at > ?",
        [session_id, step.token, now],
    ).fetchone()
    if row:  # this very step was made before
        return Revision(row[0])
    head = check_lease(db, now, lease)
    if revision is not None:
        _check_kept(db, session_id, revision)
    step = replace(step, head=Revision(head + 1))
    shared = -1 if revision is None else revision  # what began later than this is not in both
    growth = _move_entries(db, step, shared) + _move_references(db, step, shared)
    return advance(db, now, step, growth, history)


def _move_entries(db: sqlite3.Connection, step: Step, revision: int) -> Growth:
    place = [step.session_id, revision]
    (closed,) = db.execute(
        "SELECT coalesce(sum(length(data)), 0) FROM entries"
        " WHERE session_id = ? AND until IS NULL AND since > ?",
        place,
    ).fetchone()
    db.execute(
        "UPDATE entries SET until = ? WHERE session_id = ? AND until IS NULL AND since > ?",
        [step.head, *place],
    )
    db.execute(
        "INSERT INTO entries (session_id, name, since, data) SELECT session_id, name, ?, data FROM entries"
        " WHERE session_id = ? AND since <= ? AND until > ?",
        [step.head, *place, revision],
    )
    (opened,) = db.execute(
        "SELECT coalesce(sum(length(data)), 0) FROM entries"
        " WHERE session_id = ? AND until IS NULL AND since = ?",
        [step.session_id, step.head],
    ).fetchone()
    return Growth(opened - closed, closed)


def _move_references(db: sqlite3.Connection, step: Step, revision: int) -> Growth:
    place = [step.session_id, revision]
    sizes = "SELECT number, size FROM refs JOIN chunks USING (number) WHERE session_id = ?"
    closed = dict(db.execute(f"{sizes} AND until IS NULL AND since > ?", place).fetchall())
    opened = dict(db.execute(f"{sizes} AND since <= ? AND until > ?", [*place, revision]).fetchall())
    db.execute(
        "UPDATE refs SET until = ? WHERE session_id = ? AND until IS NULL AND since > ?", [step.head, *place]
    )
    return hold(db, step, closed, opened)


def fork(
    db: sqlite3.Connection, now: float, session_id: SessionId, revision: Revision | None, new: SessionRecord
) -> bool:
    """See `Store.fork`."""
    if get(db, now, new.session_id):
        return False
    parent = get(db, now, session_id)
    if parent is None:
        raise session_missing(session_id)
    start = parent.revision if revision is None else revision
    _check_kept(db, session_id, start)
    (size,) = db.execute(
        "SELECT size FROM revisions WHERE session_id = ? AND revision = ?", [session_id, start]
    ).fetchone()
    (family,) = db.execute("SELECT family FROM sessions WHERE session_id = ?", [session_id]).fetchone()
    insert(db, now, replace(new, revision=start, size=size), family)
    place = [new.session_id, start, session_id, start, start]
    db.execute(
        "INSERT INTO entries (session_id, name, since, data)"  # noqa: S608
        f" SELECT ?, name, ?, data FROM entries WHERE {_AT}",
        place,
    )
    db.execute(f"INSERT INTO refs SELECT ?, number, ?, NULL FROM refs WHERE {_AT}", place)  # noqa: S608
    return True


def _check_kept(db: sqlite3.Connection, session_id: SessionId, revision: Revision) -> None:
    kept = [
        number
        for (number,) in db.execute(
            "SELECT revision FROM revisions WHERE session_id = ? ORDER BY 1", [session_id]
        )
    ]
    if revision not in kept:
        raise revision_missing(session_id, revision, (kept[0], kept[-1]))
