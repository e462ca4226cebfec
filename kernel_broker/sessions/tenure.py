"""A session's durable side as this pod sees it: record, document, lease, commits."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from secrets import token_hex
from typing import Any, TypeVar

from kernel_broker.errors import BrokerError, Conflict
from kernel_broker.metrics import AMENDMENTS, GIVEN_UP
from kernel_broker.sessions.claims import printable
from kernel_broker.sessions.document import SessionDocument
from kernel_broker.sessions.pieces import name_of
from kernel_broker.sessions.run import Outcome, Run
from kernel_broker.sessions.surroundings import Surroundings
from kernel_broker.store.contract import (
    Buffer,
    ChunkMissing,
    Commit,
    Lease,
    LeaseHeld,
    RevisionRecord,
    RunRecord,
    SessionMissing,
    SessionRecord,
    StoreUnavailable,
)
from kernel_broker.store.refusals import find_revision
from kernel_broker.store.unreadable import EntriesUnreadable
from kernel_broker.wire.ids import ChunkId, Revision, RunId, SessionId, new_run_id
from kernel_broker.wire.pages import PageError, chunks_of, decode_pages, is_page
from kernel_broker.wire.problems import Problem

T = TypeVar("T")
Json = dict[str, Any]

TAIL_BYTES = 64 * 2**10
"""How much of a run's log is stored with its commit, for clients that lost the pod."""

_RETRY_SECONDS = 0.25
_JUDGED_AT_ONCE = 8


class Tenure:
    """The session's record, and the lease under which this pod may advance it."""

    def __init__(self, record: SessionRecord, around: Surroundings) -> None:
        self._around = around
        self._lease: Lease | None = None
        self._unsure: Commit | None = None
        self._take(record)

    def _take(self, record: SessionRecord) -> None:
        self.record = record
        self.document = SessionDocument.from_bytes(record.doc)

    @property
    def session_id(self) -> SessionId:
        """The session's id."""
        return self.record.session_id

    @property
    def revision(self) -> Revision:
        """The last revision this pod knows of."""
        return self.record.revision

    @property
    def held(self) -> bool:
        """Whether this pod holds the lease, as far as it knows."""
        return self._lease is not None

    async def hold(self, run: Run) -> Lease:
        """The lease, acquired if need be; waits for another holder's to expire, within the patience."""
        if self._lease is not None:
            return self._lease
        limits, store = self._around.limits, self._around.store
        deadline = asyncio.get_running_loop().time() + limits.patience
        while True:
            try:
                lease = await self._patiently(
                    lambda: store.acquire(self.session_id, self._around.holder, limits.lease_ttl), run
                )
                break
            except LeaseHeld as held:
                if asyncio.get_running_loop().time() + held.expires_in > deadline:
                    raise
                run.queue(1, "another pod holds this session")
                await asyncio.sleep(held.expires_in)
        record = await self._patiently(lambda: store.get(self.session_id), run)
        if (
            record is None or record.owner != self.record.owner
        ):  # deleted, and the id may be another owner's now
            await self._patiently(lambda: store.release(lease), run)
            raise SessionMissing(f"session {self.session_id!r} has been deleted")
        self._take(record)
        self._lease = lease
        return lease

    async def load(self, run: Run) -> dict[str, bytes]:
        """The entries of the committed state; the lease must be held."""
        if self.document.carried:
            await self._put_files_back(run)
        return await self._patiently(lambda: self._around.store.entries(self.session_id), run)

    def birth(self) -> Json:
        """What a worker is told of the session that moves in."""
        document, limits = self.document, self._around.limits
        return {
            "session_id": self.session_id,
            "key": document.key,
            "cwd": document.cwd,
            "env": document.env,
            "limits": document.limits,
            "limit": document.limits.get("state", limits.state),
            "verify_idle": limits.verify_idle,
            "recompute": document.recompute,
        }

    async def fetch(self, ids: Collection[ChunkId], run: Run | None) -> Mapping[ChunkId, bytes]:
        """Chunks of the committed state."""
        return await self._patiently(lambda: self._around.store.get_chunks(self.session_id, ids), run)

    async def keep(self, chunks: Mapping[ChunkId, Buffer], run: Run | None) -> None:
        """Write chunks that a commit is going to refer to."""
        await self._patiently(lambda: self._around.store.put_chunks(self.session_id, chunks), run)

    async def discard(self, ids: Sequence[ChunkId]) -> None:
        """Take those of some chunks that are damaged out of the store, so that they can be written anew."""
        key = bytes.fromhex(self.document.key)
        for start in range(0, len(ids), _JUDGED_AT_ONCE):
            found = await self.fetch(ids[start : start + _JUDGED_AT_ONCE], None)
            damaged = {chunk_id: data for chunk_id, data in found.items() if name_of(data, key) != chunk_id}
            if damaged:
                await self._patiently(partial(self._around.store.discard, self.session_id, damaged), None)

    async def begin(self, run: Run) -> RunRecord | None:
        """Record that the run starts; what is known of it, if it has started before."""
        lease, around, token = await self.hold(run), self._around, token_hex(8)
        return await self._patiently(
            lambda: around.store.begin_run(lease, run.run_id, around.clock(), around.limits.lease_ttl, token),
            run,
        )

    async def _patiently(self, attempt: Callable[[], Awaitable[T]], run: Run | None) -> T:
        """Try again while the store does not answer, within the patience. What is tried may be repeated."""
        deadline = asyncio.get_running_loop().time() + self._around.limits.patience
        told = run is None
        while True:
            try:
                return await attempt()
            except StoreUnavailable:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                if not told and run is not None:
                    run.queue(1, "the store does not answer")
                told = True
                await asyncio.sleep(_RETRY_SECONDS)

    async def settle(self, run: Run | None, head: Json, parts: Sequence[bytes]) -> Outcome:
        """Commit what a `done` frame brings, if anything; how the run ends."""
        GIVEN_UP.inc(head.get("given_up", 0))
        refused = head.get("refused")
        if run is not None:
            for notice in [*head.get("shown", ()), *([refused] if refused is not None else [])]:
                run.show_notice(notice)
        outcome = Outcome(
            status=_status(run),
            revision=self.revision,
            execution_count=head.get("execution_count", self.document.execution_count),
            notices=head.get("notices", ()),
            background=head.get("background", False),
            checkout=head.get("checkout"),
        )
        if refused is not None:
            problem = Problem("state_too_large", refused, extra={"revision": self.revision})
            return replace(outcome, notices=[*outcome.notices, refused], problem=problem)
        if head.get("commit") is None:
            return outcome
        outcome = replace(outcome, revision=Revision(self.revision + 1))
        commit = self._commit(head, parts)
        await self._apply(replace(commit, at=self._around.clock(), run=_run_record(run, outcome)), run)
        return outcome

    async def amend(self, head: Json, parts: Sequence[bytes]) -> None:
        """Commit what an `amend` frame brings: a change that no run's commit had."""
        await self._apply(self._commit(head, parts), None)
        AMENDMENTS.inc()

    def _commit(self, head: Json, parts: Sequence[bytes]) -> Commit:
        change, info = head["commit"], self._around.pool.info or {}
        document = replace(
            self.document,
            execution_count=head["execution_count"],
            pinned=printable(head["pinned"]),
            comms=printable(head["comms"]),
            runtime=info.get("runtime", self.document.runtime),
        )
        return Commit(
            lease=self._require_lease(),
            parent=self.revision,
            at=self.record.last_activity,
            doc=document.to_bytes(),
            put=dict(zip(change["put"], parts, strict=True)),
            delete=change["delete"],
            add=[ChunkId(i) for i in change["add"]],
            drop=[ChunkId(i) for i in change["drop"]],
        )

    @property
    def sure(self) -> bool:
        """Whether it is known of every commit what came of it."""
        return self._unsure is None

    async def _apply(self, commit: Commit, run: Run | None) -> None:
        self._unsure = None
        try:
            revision = await self._patiently(lambda: self._around.store.commit(commit), run)
        except StoreUnavailable:
            self._unsure = commit
            raise
        self._take(replace(self.record, revision=revision, last_activity=commit.at, doc=commit.doc))

    async def make_sure(self, run: Run) -> bool:
        """Repeat a commit whose outcome is not known, so that it has been made; whether there was one."""
        unsure = self._unsure
        if unsure is not None:
            await self._apply(unsure, run)
        return unsure is not None

    def _require_lease(self) -> Lease:
        if self._lease is None:
            raise Conflict("this pod does not hold the session any more", code="session_busy_elsewhere")
        return self._lease

    async def renew(self) -> None:
        """Extend the lease, if held; raises `StaleLease`."""
        if self._lease is not None:
            await self._around.store.renew(self._lease, self._around.limits.lease_ttl)

    async def release(self) -> None:
        """Give the lease up."""
        lease, self._lease = self._lease, None
        unsure, self._unsure = self._unsure, None
        if lease is not None:
            if unsure is not None:
                with suppress(BrokerError):
                    await self._around.store.commit(unsure)
            await self._around.store.release(lease)

    def lose(self) -> None:
        """Somebody else has taken the session."""
        self._lease = self._unsure = None

    async def revisions(self, run: Run | None) -> Sequence[RevisionRecord]:
        """The revisions that are kept, the head last."""
        return await self._patiently(lambda: self._around.store.revisions(self.session_id), run)

    async def checkout(self, revision: Revision, run: Run) -> None:
        """Make a kept revision the head: its state, and of its document what belongs to the state."""
        lease, around, token = await self.hold(run), self._around, token_hex(8)
        await self.make_sure(run)
        then = find_revision(self.session_id, await self.revisions(run), revision)
        old = SessionDocument.from_bytes(then.doc)
        document = self.document.at(old)
        head = await self._patiently(
            lambda: around.store.checkout(lease, revision, document.to_bytes(), around.clock(), token), run
        )
        self._take(replace(self.record, revision=head, doc=document.to_bytes(), size=then.size))

    async def reset(self, run: Run) -> None:
        """A fresh namespace under the same id; the count starts anew, the working files stay."""
        lease = await self.hold(run)
        pages = {}
        if self.document.files == "state":
            await self.make_sure(run)
            entries = await self._load_intact(run)
            pages = {name: data.decode("ascii", "replace") for name, data in entries.items() if is_page(name)}
        document = replace(self.document, execution_count=0, pinned=[], comms={}, carried=pages)
        revision = await self._around.store.reset(lease, document.to_bytes(), self._around.clock())
        self._unsure = None
        self._take(replace(self.record, revision=revision, doc=document.to_bytes(), size=0))
        if pages:
            await self._put_files_back(run)

    async def _load_intact(self, run: Run) -> Mapping[str, bytes]:
        """What can be read of the entries, and what of that makes sense together."""
        try:
            return await self.load(run)
        except EntriesUnreadable as refusal:
            try:
                decode_pages(refusal.intact)
            except PageError:
                return {}
            return refusal.intact

    async def _put_files_back(self, run: Run) -> None:
        """The second half of a restart; done later if it was cut off."""
        pages = {name: text.encode() for name, text in self.document.carried.items()}
        commit = Commit(
            lease=self._require_lease(),
            parent=self.revision,
            at=self._around.clock(),
            doc=replace(self.document, carried={}).to_bytes(),
            put=pages,
            add=[ChunkId(name) for name in chunks_of(pages)],
        )
        try:
            await self._apply(commit, run)
        except ChunkMissing as missing:  # cut off for so long that they were collected: the worker names them
            found = [chunk_id for chunk_id in commit.add if chunk_id not in missing.chunk_ids]
            await self._apply(replace(commit, add=found, token=token_hex()), run)


def _status(run: Run | None) -> Any:
    for message in run.held if run is not None else ():
        if message.channel == "shell":
            return message.read_content().get("status", "ok")
    return "ok"


def _run_record(run: Run | None, outcome: Outcome) -> RunRecord:
    if run is None:
        return RunRecord(RunId(new_run_id()), finished=True, revision=outcome.revision)
    closing = run.closing_lines(outcome)
    tail = run.log.tail(max(0, TAIL_BYTES - len(closing))) + closing
    return RunRecord(run.run_id, finished=True, revision=outcome.revision, log=tail)
