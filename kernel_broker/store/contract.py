"""What a store must do. Every backend passes the same conformance suite.

A store holds opaque bytes: it never decodes a document, an entry or a chunk. A session's state is a
set of named *entries* (small, replaced as a whole) and of *chunks* (large, named by content, written
once). A commit changes entries and references atomically, under compare-and-set on epoch and revision.

Clocks: `now` and `at` are recorded as the session's activity. What expires (sessions, leases, unreferenced
chunks) expires by the store's own clock, so that pods with skewed clocks do each other no harm: Redis'
clock, or the embedded store's. A session expires `ttl` seconds after its last use; touch, acquire, renew,
begin_run, put_chunks, commit and reset are uses, and no session expires before its lease does.

An expired session is gone: every method treats it as one that never was.

History: the last revisions of a session are kept beside its head, bounded by `History`, and always without
a gap: from a floor up to the head. A commit records what it replaces and nothing else. A chunk that the head
has dropped stays while a kept revision refers to it, and has the grace of `collect` from then on.

Families: a fork shares the chunks of the session it came from, by reference, and so do its own forks. A chunk
stays while any session of the family refers to it, whichever of them is deleted first.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Final, Protocol

from kernel_broker.errors import BrokerError, Conflict, Unavailable
from kernel_broker.wire.ids import ChunkId, Epoch, Revision, RunId, SessionId

Buffer = bytes | memoryview

RUNS_KEPT: Final = 64
"""Runs remembered per session: a retry of an older one is not recognised any more."""


class StoreUnavailable(Unavailable):
    """The store cannot be reached or refuses writes; nothing was changed, or that is not known."""

    code = "store_unavailable"


class SessionMissing(BrokerError):
    """No such session: never created, deleted, or expired."""

    code = "session_not_found"


class StaleLease(Conflict):
    """Someone else holds the session now: drop the worker, its state is not the session's."""

    code = "session_busy_elsewhere"


class LeaseHeld(Conflict):
    """Another holder's lease is alive; `holder` and `expires_in` (seconds) say whose and how long."""

    code = "session_busy_elsewhere"

    def __init__(self, holder: str, expires_in: float) -> None:
        super().__init__("another pod holds this session; try again shortly", retry_after=expires_in)
        self.holder = holder
        self.expires_in = expires_in


class RevisionMismatch(Conflict):
    """The commit's parent is not the session's head."""


class RevisionMissing(BrokerError):
    """The revision asked for is not kept: trimmed, or never made; `kept` names the first and the last."""

    code = "revision_not_found"

    def __init__(self, detail: str, kept: tuple[Revision, Revision]) -> None:
        super().__init__(detail, kept=list(kept))
        self.kept = kept


class ChunkMissing(BrokerError):
    """A commit refers to chunks that are not there (collected, never written): put them, commit again."""

    def __init__(self, chunk_ids: Collection[ChunkId]) -> None:
        super().__init__(f"{len(chunk_ids)} chunk(s) of the commit are not in the store; write them again")
        self.chunk_ids = frozenset(chunk_ids)


@dataclass(frozen=True, slots=True)
class History:
    """How much of its past a session keeps."""

    revisions: int = 1
    """Revisions kept, the head included; 0 and 1 both mean the head alone."""
    size: int = 256 * 2**20
    """Bytes that old revisions may hold beyond the head's; the oldest ones go when they hold more."""


HEAD_ALONE: Final = History()


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session at rest. Times are Unix seconds, `ttl` is in seconds, `size` in bytes."""

    session_id: SessionId
    owner: str
    revision: Revision
    created_at: float
    last_activity: float
    ttl: float
    """The session expires this long after its last activity."""
    doc: bytes
    """The session document: opaque here, JSON to `sessions`."""
    size: int = 0
    """Bytes of entries and chunks at the head revision."""


@dataclass(frozen=True, slots=True)
class RevisionRecord:
    """One kept revision of a session."""

    revision: Revision
    at: float
    run_id: RunId | None
    """The run whose commit made it; None if none did."""
    doc: bytes
    """The session document as it was."""
    size: int
    """Bytes of entries and chunks at it."""
    alone: int
    """Bytes that go when this revision is trimmed as the oldest; 0 at the head."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to advance a session, held by `holder` until it is released or taken at a higher epoch.

    Past its time anyone may take it; until someone does, its holder may still renew it, run and commit.
    Epochs of one session id never repeat, not even after the session was deleted and made anew.
    """

    session_id: SessionId
    holder: str
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What is known of a run. `log` is the tail of its event lines; only finished runs have one.

    The caller bounds the log: the store keeps up to `RUNS_KEPT` of them per session.
    """

    run_id: RunId
    finished: bool
    revision: Revision
    """The session's revision when the run started, or after it finished."""
    log: bytes = b""


@dataclass(frozen=True, slots=True)
class Commit:
    """One step of a session: from `parent` to `parent + 1`.

    `put`/`delete` change entries; `add`/`drop` are chunk references gained and lost (every chunk in `add`
    has been written with `put_chunks` before). References are a set: adding one that is held or dropping one
    that is not changes nothing. What is both put and deleted, or added and dropped, stays. `run` is recorded
    with the commit, known before or not.
    """

    lease: Lease
    parent: Revision
    at: float
    doc: bytes
    put: Mapping[str, bytes] = field(default_factory=dict)
    delete: Collection[str] = ()
    add: Collection[ChunkId] = ()
    drop: Collection[ChunkId] = ()
    run: RunRecord | None = None
    token: str = field(default_factory=token_hex)
    """Names this commit: repeating the same one, its outcome being unknown, never applies it twice."""


class Store(Protocol):
    """The contract. Every method raises `StoreUnavailable` if the store does not answer; later it may."""

    async def open(self) -> None:
        """Connect; raises `StoreUnavailable` with what to check. Must be called before any other.

        After a failure it may be called again, and nothing is left open.
        """

    async def close(self) -> None:
        """Let go of every connection, file and lock. Idempotent."""

    async def ping(self) -> None:
        """Return if the store answers and takes writes."""

    async def create(self, record: SessionRecord) -> bool:
        """Store a new session (`size` is ignored: it has none); False, nothing changed, if the id exists."""

    async def get(self, session_id: SessionId) -> SessionRecord | None:
        """The session, or None if there is none or it has expired."""

    async def list(self, owner: str | None = None) -> list[SessionRecord]:
        """Sessions of one owner (None: of all), the most recently active first."""

    async def touch(self, session_id: SessionId, now: float) -> None:
        """Move the session's last activity to `now` and start its ttl anew; nothing if there is none."""

    async def delete(self, session_id: SessionId) -> bool:
        """Forget the session, its state, runs and lease, whoever holds it; False if there was none."""

    async def acquire(self, session_id: SessionId, holder: str, ttl: float) -> Lease:
        """Take the lease for `ttl` seconds at a new epoch.

        A holder that has it already gets it again, also at a new epoch. Raises `LeaseHeld` while another
        holder's lease is alive, `SessionMissing`.
        """

    async def renew(self, lease: Lease, ttl: float) -> None:
        """Extend the lease; raises `StaleLease` if it is no longer this one, `SessionMissing`."""

    async def release(self, lease: Lease) -> None:
        """Give the lease up; nothing happens if it is no longer this one, or the session is gone."""

    async def begin_run(
        self, lease: Lease, run_id: RunId, now: float, ttl: float, token: str = ""
    ) -> RunRecord | None:
        """Record, durably, that a run starts, and renew the lease by `ttl` seconds.

        `token`, if given, tells a repetition of the same start, after a lost answer, from a second one: the
        repetition returns None again.

        Returns None the first time. If the run is known already nothing is changed and its record comes
        back: `finished` with its log, or not finished (it is running, or was lost). Raises `StaleLease`
        (before it looks at the run) and `SessionMissing`.
        """

    async def get_run(self, session_id: SessionId, run_id: RunId) -> RunRecord | None:
        """What is known of a run; None if it never started here or is forgotten (the last 64 are kept)."""

    async def entries(self, session_id: SessionId) -> dict[str, bytes]:
        """All entries of the head revision; raises `SessionMissing`."""

    async def missing(self, session_id: SessionId, chunk_ids: Collection[ChunkId]) -> set[ChunkId]:
        """Those of `chunk_ids` that have not been written for this session or one of its family.

        The others are safe from `collect` for the grace from now on, so that a commit can refer to them.
        """

    async def put_chunks(self, session_id: SessionId, chunks: Mapping[ChunkId, Buffer]) -> None:
        """Write chunks; one that exists is left as it is. Raises `SessionMissing`.

        The caller's buffers are read until this returns. Those that no commit comes to refer to are collected
        after a grace that starts now.
        """

    async def get_chunks(self, session_id: SessionId, chunk_ids: Collection[ChunkId]) -> dict[ChunkId, bytes]:
        """The chunks that exist among `chunk_ids`."""

    async def discard(self, session_id: SessionId, damaged: Mapping[ChunkId, bytes]) -> None:
        """Remove the bytes of chunks that hold these: they are damaged, and can be written anew."""

    async def commit(self, commit: Commit) -> Revision:
        """Apply one step atomically, renew the lease by its last duration, return the new revision.

        Raises `SessionMissing`, `StaleLease` (epoch), `RevisionMismatch` (parent), `ChunkMissing`: looked for
        in this order, and then nothing was changed. The commit last applied may be repeated by anyone.
        """

    async def reset(self, lease: Lease, doc: bytes, now: float) -> Revision:
        """Drop all entries and chunk references (a fresh namespace): a revision like any other.

        Runs and the lease stay. Raises `StaleLease`, `SessionMissing`.
        """

    async def revisions(self, session_id: SessionId) -> Sequence[RevisionRecord]:
        """The revisions kept, oldest first; the last one is the head. Raises `SessionMissing`."""

    async def checkout(
        self, lease: Lease, revision: Revision, doc: bytes, now: float, token: str = ""
    ) -> Revision:
        """Make a new head with the entries and chunk references of a kept revision, and `doc`.

        History stays linear: what was the head is the revision before. Runs and the lease stay. `token`, if
        given, tells a repetition after a lost answer. Raises `SessionMissing`, `StaleLease`,
        `RevisionMissing`.
        """

    async def fork(self, session_id: SessionId, revision: Revision | None, record: SessionRecord) -> bool:
        """Store a new session that starts at a kept revision of another one (None: its head).

        It has that revision's number, entries and chunk references, and no history or runs (`record` says the
        rest; its `revision` and `size` are ignored). No chunk is copied. False, nothing changed, if the new
        id exists. Else raises `SessionMissing`, `RevisionMissing`.
        """

    async def collect(self, now: float, grace: float) -> int:
        """Remove expired sessions, and chunks unreferenced for `grace` seconds; returns how many went.

        `grace` must outlast the time from a chunk's `missing` or `put_chunks` to its commit. Any pod may
        call it at any time.
        """
