"""What Redis answers with, as records."""

from collections.abc import Sequence
from typing import Final

from kernel_broker.store.contract import RevisionRecord, RunRecord, SessionRecord
from kernel_broker.wire.ids import Revision, RunId, SessionId

FIELDS: Final = ("owner", "revision", "created_at", "last_activity", "ttl", "doc", "size")


def read_record(session_id: SessionId, fields: Sequence[bytes | None]) -> SessionRecord | None:
    """A session from the fields of its hash, in the order of `FIELDS`; None if there is none."""
    owner, revision, created_at, last_activity, ttl, doc, size = (field or b"" for field in fields)
    if fields[1] is None:
        return None
    return SessionRecord(
        session_id=session_id,
        owner=owner.decode(),
        revision=Revision(int(revision)),
        created_at=float(created_at),
        last_activity=float(last_activity),
        ttl=float(ttl),
        doc=doc,
        size=int(size),
    )


def read_revision(parts: Sequence[bytes]) -> RevisionRecord:
    """One revision of those that the script lists."""
    number, at, run_id, doc, size, alone = parts
    run = RunId(run_id.decode()) if run_id else None
    return RevisionRecord(Revision(int(number)), float(at), run, doc, int(size), int(alone))


def pack_run(run: RunRecord) -> bytes:
    """A finished run as it is stored."""
    return b"%d:%d:%b" % (run.finished, run.revision, run.log)


def read_run(run_id: RunId, packed: bytes) -> RunRecord:
    """A run from what is stored of it."""
    finished, revision, log = packed.split(b":", 2)
    done = finished == b"1"  # what a begun run has in the log's place is the token of its start
    return RunRecord(run_id, done, Revision(int(revision)), log if done else b"")
