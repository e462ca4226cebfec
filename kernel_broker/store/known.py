"""What a session's document says that its blobs need, and what is stored of a session by it. No I/O."""

from dataclasses import dataclass, replace

from kernel_broker.store.contract import Commit, RunRecord, SessionRecord
from kernel_broker.store.keyring import Content, Keyring
from kernel_broker.store.seals import FamilySeal
from kernel_broker.store.unreadable import DocumentUnreadable
from kernel_broker.wire.ids import SessionId


@dataclass(frozen=True, slots=True)
class Known:
    """A session, as its document says."""

    owner: str
    seal: FamilySeal | None
    """None: the session is from before there were keys, and goes on unencrypted."""

    @property
    def secret(self) -> bytes:
        """The family's; empty if there is none."""
        return self.seal.secret if self.seal else b""


def opened(keyring: Keyring, record: SessionRecord) -> tuple[SessionRecord, Known]:
    """The record with its document as it was given; raises `DocumentUnreadable`."""
    session_id, owner = record.session_id, record.owner
    content = keyring.unseal(session_id, record.revision, record.doc, owner)
    if content is None:
        return record, Known(owner, None)
    if content.owner != owner:
        raise DocumentUnreadable(session_id, "its owner was changed in the store", owner)
    return replace(record, doc=content.doc), Known(owner, FamilySeal(content.secret))


def sealed_doc(keyring: Keyring, known: Known, session_id: SessionId, revision: int, doc: bytes) -> bytes:
    """The document of a revision, as it is to be stored."""
    if known.seal is None:
        return doc
    return keyring.seal(session_id, revision, Content(known.owner, known.secret, doc))


def sealed_commit(keyring: Keyring, known: Known, commit: Commit) -> Commit:
    """The commit, as it is to be made."""
    session_id, run = commit.lease.session_id, commit.run
    if known.seal is None:
        return commit
    if run is not None and run.finished:
        logs = known.seal.seal("run", {run.run_id: run.log}, about(session_id, run))
        run = replace(run, log=logs[run.run_id])
    doc = sealed_doc(keyring, known, session_id, commit.parent + 1, commit.doc)
    return replace(commit, doc=doc, put=known.seal.seal("entry", commit.put), run=run)


def about(session_id: SessionId, run: RunRecord) -> str:
    """What a run's log is bound to besides the run's id."""
    return f"{session_id}\0{run.revision}"
