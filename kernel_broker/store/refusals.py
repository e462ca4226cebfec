"""The store's refusals in words: the same ones whatever backend says them."""

from collections.abc import Sequence

from kernel_broker.store.contract import (
    Lease,
    LeaseHeld,
    RevisionMismatch,
    RevisionMissing,
    RevisionRecord,
    SessionMissing,
    StaleLease,
)
from kernel_broker.wire.ids import Revision, SessionId


def session_missing(session_id: SessionId) -> SessionMissing:
    """There is no such session."""
    return SessionMissing(f"no session {session_id!r}: it was never created, was deleted, or has expired")


def stale_lease(lease: Lease) -> StaleLease:
    """`lease` is not the session's lease any more."""
    return StaleLease(f"session {lease.session_id!r} is held elsewhere now; send the request again")


def lease_held(holder: str, expires_in: float) -> LeaseHeld:
    """`holder` has the lease for `expires_in` seconds more."""
    return LeaseHeld(holder, max(0.0, expires_in))


def revision_mismatch(session_id: SessionId, parent: Revision, head: Revision) -> RevisionMismatch:
    """A commit on `parent`, while the session stands at `head`."""
    return RevisionMismatch(
        f"session {session_id!r} stands at revision {head}, the commit follows {parent}", revision=head
    )


def revision_missing(
    session_id: SessionId, revision: Revision, kept: tuple[Revision, Revision]
) -> RevisionMissing:
    """`revision` is not among those kept."""
    first, last = kept
    which = f"only revision {last} is" if first == last else f"revisions {first} to {last} are"
    return RevisionMissing(f"session {session_id!r} does not keep revision {revision}: {which} kept", kept)


def find_revision(
    session_id: SessionId, kept: Sequence[RevisionRecord], revision: Revision | None
) -> RevisionRecord:
    """The record of `revision` (None: of the head); raises `RevisionMissing`."""
    for record in kept:
        if record.revision == revision:
            return record
    if revision is None:
        return kept[-1]
    raise revision_missing(session_id, revision, (kept[0].revision, kept[-1].revision))
