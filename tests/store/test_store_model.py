"""Random histories of two pods on one session, on every backend, against a model that fits on a page.

The model knows nothing of transactions: what it says must hold after every step, whatever was refused,
repeated, left half-way (chunks written, commit never sent), expired or collected in between.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import pytest
from backends import Backend, fake_client, redis_backend, sealed_backend, sqlite_backend
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis.asyncio import Redis

from conftest import BACKENDS
from kernel_broker.store.contract import (
    ChunkMissing,
    Commit,
    History,
    Lease,
    LeaseHeld,
    RevisionMismatch,
    RevisionMissing,
    RunRecord,
    SessionMissing,
    SessionRecord,
    StaleLease,
)
from kernel_broker.store.seals import OVERHEAD
from kernel_broker.wire.ids import ChunkId, Revision, RunId, SessionId

SID, FORK = SessionId("s"), SessionId("f")
TTL, LEASE, GRACE = 1000, 100, 300
HISTORY = History(revisions=3, size=20)
PODS = st.sampled_from(["pod-a", "pod-b"])
SELDOM = st.sampled_from([False, False, True])
WHOSE = st.tuples(PODS, st.sampled_from([0, 0, 0, 1, 2]))
"""A lease: the last one a pod got, or one it should have thrown away."""
NAMES = st.sampled_from(["x", "y", "z"])
CHUNKS = st.sets(st.sampled_from([ChunkId(f"c{number}") for number in range(3)]), max_size=3)
CHANGES = st.tuples(
    st.sampled_from([SID, FORK]), st.dictionaries(NAMES, st.binary(max_size=4), max_size=2), CHUNKS, CHUNKS
)
RUNS = st.sampled_from([RunId(f"r{number}") for number in range(3)])


def bytes_of(chunk_id: ChunkId) -> bytes:
    return chunk_id.encode() * 7


CHUNK_SIZE = len(bytes_of(ChunkId("c0")))


def history_of(extra: int) -> History:
    """The same bound, in blobs, where each takes `extra` bytes more."""
    return replace(HISTORY, size=HISTORY.size + 2 * extra)


@dataclass(frozen=True, eq=False)
class Written:
    """Bytes of an entry as one commit wrote them; the same bytes written again are another one."""

    data: bytes


@dataclass(frozen=True)
class Kept:
    """A revision."""

    revision: int
    entries: dict[str, Written]
    refs: set[ChunkId]

    def size(self, extra: int) -> int:
        entries = sum(len(written.data) + extra for written in self.entries.values())
        return entries + len(self.refs) * (CHUNK_SIZE + extra)


@dataclass
class Model:
    """What the session must look like. Times are seconds since the test began."""

    revision: int = 0
    entries: dict[str, Written] = field(default_factory=dict)
    refs: set[ChunkId] = field(default_factory=set)
    past: list[Kept] = field(default_factory=list)
    """The kept revisions, the head included."""
    runs: dict[RunId, RunRecord] = field(default_factory=dict)
    lease: Lease | None = None
    lease_until: float = 0
    last: Commit | None = None
    used: float = 0
    extra: int = 0
    """Bytes that each entry and chunk takes besides its own."""

    def __post_init__(self) -> None:
        self.past = [Kept(self.revision, self.entries, self.refs)]

    def size(self) -> int:
        return self.past[-1].size(self.extra)

    def held(self) -> set[ChunkId]:
        """The chunks that a kept revision refers to."""
        return set().union(*(kept.refs for kept in self.past))

    def old_size(self) -> int:
        """Bytes that only old revisions hold."""
        written = {version for kept in self.past for version in kept.entries.items()}
        old = Kept(0, dict(enumerate(written - set(self.entries.items()))), self.held() - self.refs)
        entries = sum(len(version[1].data) + self.extra for version in old.entries.values())
        return entries + len(old.refs) * (CHUNK_SIZE + self.extra)

    def advance(self, entries: dict[str, Written], refs: set[ChunkId]) -> None:
        """A new head, and what goes for it."""
        self.revision += 1
        self.entries, self.refs = entries, refs
        self.past.append(Kept(self.revision, entries, refs))
        while len(self.past) > HISTORY.revisions or self.old_size() > history_of(self.extra).size:
            if len(self.past) == 1:
                break
            del self.past[0]


class Histories(RuleBasedStateMachine):
    def __init__(self, which: str, url: str | None) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.backend: Backend = self.do(self.enter(which, url))
        self.store = self.backend.store
        self.now = 0.0
        self.model: Model | None = None
        self.fork: Model | None = None
        self.loose: dict[ChunkId, float] = {}
        """Chunks of the family that nothing kept refers to, and since when."""
        self.leases: dict[str, list[Lease]] = {"pod-a": [], "pod-b": []}  # the latest first

    async def enter(self, which: str, url: str | None) -> Backend:
        sealed = which.startswith("sealed-")
        history = history_of(OVERHEAD if sealed else 0)
        if which.endswith("redis") and which != "fakeredis":
            client = Redis.from_url(url, protocol=2)
            await client.flushall()
            chosen = redis_backend(client, history)
        elif which == "fakeredis":
            chosen = redis_backend(fake_client(), history)
        else:
            chosen = sqlite_backend(None, history)
        if sealed:
            chosen = sealed_backend(chosen)
        return await self.stack.enter_async_context(chosen)

    def teardown(self) -> None:
        self.do(self.stack.aclose())
        self.loop.close()

    def do(self, work):
        return self.loop.run(work)

    def outcome(self, work):
        """The result, or the type of the refusal."""
        try:
            return self.do(work)
        except (
            SessionMissing,
            StaleLease,
            LeaseHeld,
            RevisionMismatch,
            RevisionMissing,
            ChunkMissing,
        ) as refusal:
            return type(refusal)

    def lease_of(self, whose: tuple[str, int]) -> Lease | None:
        pod, older = whose
        if older == 0 and self.model and (self.model.lease is None or self.model.lease.holder == pod):
            self.acquire(pod)  # most histories should come to something
        return self.leases[pod][older] if older < len(self.leases[pod]) else None

    def use(self) -> None:
        self.model.used = self.now

    def refusal(self, lease: Lease) -> type[Exception] | None:
        if self.model is None:
            return SessionMissing
        return None if lease == self.model.lease else StaleLease

    @initialize()
    def begin(self):
        self.create()

    @rule()
    def create(self):
        if self.model is None and self.fork:
            return  # a family of the same name would begin: chunks of the old one may be seen or not
        record = SessionRecord(SID, "ada", Revision(0), 1.0, 1.0, TTL, b"doc")
        assert self.do(self.store.create(record)) is (self.model is None)
        if self.model is None:
            self.model = Model(used=self.now, extra=self.backend.extra)

    @rule(sure=SELDOM)
    def delete(self, sure):
        if not sure:
            return
        assert self.do(self.store.delete(SID)) is (self.model is not None)
        self.model = None
        if self.fork is None:
            self.loose = {}

    @rule(sure=SELDOM)
    def delete_fork(self, sure):
        if not sure:
            return
        assert self.do(self.store.delete(FORK)) is (self.fork is not None)
        self.fork = None
        if self.model is None:
            self.loose = {}

    @rule(back=st.integers(0, 3))
    def make_fork(self, back):
        if self.model is None:
            return
        revision = self.model.revision - back
        start = next((kept for kept in self.model.past if kept.revision == revision), None)
        record = SessionRecord(FORK, "bob", Revision(0), 1.0, 1.0, TTL, b"fork")
        got = self.outcome(self.store.fork(SID, Revision(revision), record))
        if self.fork:
            assert got is False
        elif start is None:
            assert got is RevisionMissing
        else:
            assert got is True
            self.fork = Model(start.revision, start.entries, start.refs, extra=self.backend.extra)

    @rule(seconds=st.sampled_from([1, LEASE - 10, LEASE + 10, GRACE, TTL // 2]))
    def time_passes(self, seconds):
        if self.fork:  # when chunks that expired sessions shared are gone, is a backend's to choose
            self.do(self.store.touch(FORK, 2.0))
            self.do(self.store.touch(SID, 2.0))
            if self.model:
                self.use()
        self.do(self.backend.age(seconds))
        self.now += seconds
        if self.model and self.now >= self.model.used + TTL:
            self.model = None
            self.loose = {}
        self.collect()  # as every broker does now and then: a chunk past its grace is never relied on

    @rule(pod=PODS)
    def acquire(self, pod):
        got = self.outcome(self.store.acquire(SID, pod, LEASE))
        if self.model is None:
            assert got is SessionMissing
            return
        holder = self.model.lease
        if holder and holder.holder != pod and self.now < self.model.lease_until:
            assert got is LeaseHeld
            return
        assert got.holder == pod
        assert all(got.epoch > lease.epoch for leases in self.leases.values() for lease in leases)
        self.leases[pod].insert(0, got)
        self.model.lease = got
        self.model.lease_until = self.now + LEASE
        self.use()

    @rule(whose=WHOSE)
    def renew(self, whose):
        if lease := self.lease_of(whose):
            got = self.outcome(self.store.renew(lease, LEASE))
            assert got is self.refusal(lease)
            if got is None:
                self.model.lease_until = self.now + LEASE
                self.use()

    @rule(whose=WHOSE)
    def release(self, whose):
        if lease := self.lease_of(whose):
            self.do(self.store.release(lease))
            if self.model and self.model.lease == lease:
                self.model.lease = None

    @rule(whose=WHOSE, run=RUNS)
    def begin_run(self, whose, run):
        if lease := self.lease_of(whose):
            got = self.outcome(self.store.begin_run(lease, run, 2.0, LEASE))
            if self.refusal(lease):
                assert got is self.refusal(lease)
            elif run in self.model.runs:
                assert got == self.model.runs[run]
            else:
                assert got is None
                self.model.runs[run] = RunRecord(run, False, Revision(self.model.revision))
                self.model.lease_until = self.now + LEASE
                self.use()

    @rule(chunks=CHUNKS)
    def put_chunks(self, chunks):
        """Also what remains of a pod that died between its chunks and its commit."""
        got = self.outcome(self.store.put_chunks(SID, {chunk_id: bytes_of(chunk_id) for chunk_id in chunks}))
        if not chunks:
            return
        if self.model is None:
            assert got is SessionMissing
            return
        self.loose |= dict.fromkeys(chunks - self.held(), self.now)
        self.use()

    @rule(chunks=CHUNKS)
    def missing(self, chunks):
        there = self.held() | self.loose.keys() if self.model else set()
        assert self.do(self.store.missing(SID, chunks)) == chunks - there
        if self.model:
            self.loose |= dict.fromkeys(chunks & self.loose.keys(), self.now)

    @rule(
        whose=WHOSE,
        behind=st.sampled_from([0, 0, 0, 1, -1]),
        put=st.dictionaries(NAMES, st.binary(max_size=4), max_size=2),
        delete=st.sets(NAMES, max_size=2),
        add=CHUNKS,
        drop=CHUNKS,
        write=st.booleans(),
        run=st.none() | RUNS,
    )
    def commit(self, whose, behind, put, delete, add, drop, write, run):
        lease = self.lease_of(whose)
        if lease is None:
            return
        if write:
            self.put_chunks(add)
        head = self.model.revision if self.model else 0
        record = run and RunRecord(run, True, Revision(head + 1), b"log:%d" % head)
        step = Commit(lease, Revision(head - behind), 3.0, b"doc", put, delete, add, drop, record)
        got = self.outcome(self.store.commit(step))
        if self.refusal(lease):
            assert got is self.refusal(lease)
        elif behind:
            assert got is RevisionMismatch
        elif not add <= self.held() | self.loose.keys():
            assert got is ChunkMissing
        else:
            assert got == head + 1
            self.apply(step)

    @rule(steps=st.lists(CHANGES, min_size=1, max_size=5), back=st.integers(0, 2))
    def go_on(self, steps, back):
        """Commits that nothing is wrong with, to the session and to its fork."""
        for on, put, add, drop in steps:
            if on == FORK and self.fork is None:
                self.make_fork(back)
            model = self.fork if on == FORK else self.model
            if model is None:
                continue
            holder = self.model.lease.holder if self.model and self.model.lease else "pod-a"
            if on == FORK:
                lease = self.do(self.store.acquire(FORK, "pod-c", LEASE))
            else:
                self.acquire(holder)
                lease = self.model.lease
            self.do(self.store.put_chunks(on, {chunk_id: bytes_of(chunk_id) for chunk_id in add}))
            step = Commit(lease, Revision(model.revision), 3.0, b"doc", put, (), add, drop)
            assert self.do(self.store.commit(step)) == model.revision + 1
            if on == FORK:
                self.advance(model, step)
            else:
                self.apply(step)

    def apply(self, step: Commit) -> None:
        model = self.model
        self.advance(model, step)
        if step.run:
            model.runs[step.run.run_id] = step.run
        model.last = step
        model.lease_until = self.now + LEASE
        self.use()

    def advance(self, model: Model, step: Commit) -> None:
        kept = {name: data for name, data in model.entries.items() if name not in step.delete}
        entries = kept | {name: Written(data) for name, data in step.put.items()}
        refs = model.refs - (set(step.drop) - set(step.add)) | set(step.add)
        self.move(model, entries, refs)

    def move(self, model: Model, entries: dict[str, Written], refs: set[ChunkId]) -> None:
        before = self.held()
        model.advance(entries, refs)
        self.loose |= dict.fromkeys(before - self.held(), self.now)
        for chunk_id in refs:
            self.loose.pop(chunk_id, None)

    def held(self) -> set[ChunkId]:
        """What the family's kept revisions refer to."""
        return set().union(*(model.held() for model in (self.model, self.fork) if model))

    @rule()
    def repeat_last_commit(self):
        if self.model and self.model.last:
            assert self.outcome(self.store.commit(self.model.last)) == self.model.revision

    @rule(whose=WHOSE)
    def reset(self, whose):
        if lease := self.lease_of(whose):
            got = self.outcome(self.store.reset(lease, b"doc", 4.0))
            if self.refusal(lease):
                assert got is self.refusal(lease)
                return
            assert got == self.model.revision + 1
            self.move(self.model, {}, set())
            self.model.last = None
            self.use()

    @rule(whose=WHOSE, back=st.integers(-1, 4))
    def checkout(self, whose, back):
        lease = self.lease_of(whose)
        if lease is None:
            return
        revision = self.model.revision - back if self.model else 0
        got = self.outcome(self.store.checkout(lease, Revision(revision), b"doc", 4.0))
        if self.refusal(lease):
            assert got is self.refusal(lease)
            return
        there = next((kept for kept in self.model.past if kept.revision == revision), None)
        if there is None:
            assert got is RevisionMissing
            return
        assert got == self.model.revision + 1
        entries = {
            name: written if self.model.entries.get(name) is written else Written(written.data)
            for name, written in there.entries.items()
        }
        self.move(self.model, entries, there.refs)
        self.model.last = None
        self.use()

    @rule()
    def collect(self):
        self.do(self.store.collect(self.backend.clock(), GRACE))
        self.loose = {chunk_id: at for chunk_id, at in self.loose.items() if self.now < at + GRACE}

    @invariant()
    def store_and_model_agree(self):
        assert self.do(self.store.list("ada")) == self.found(SID, self.model)
        assert self.do(self.store.list("bob")) == self.found(FORK, self.fork)
        if self.model is None:
            return
        for run, expected in self.model.runs.items():
            assert self.do(self.store.get_run(SID, run)) == expected

    def found(self, session_id: SessionId, model: Model | None) -> list[SessionRecord]:
        """The session, looked at from all sides."""
        record = self.do(self.store.get(session_id))
        if model is None:
            assert record is None
            return []
        assert (record.revision, record.size) == (model.revision, model.size())
        entries = {name: written.data for name, written in model.entries.items()}
        assert self.do(self.store.entries(session_id)) == entries
        known = {chunk_id: bytes_of(chunk_id) for chunk_id in self.held() | self.loose.keys()}
        assert self.do(self.store.get_chunks(session_id, [f"c{number}" for number in range(3)])) == known
        revisions = self.do(self.store.revisions(session_id))
        assert [(r.revision, r.size) for r in revisions] == [
            (k.revision, k.size(model.extra)) for k in model.past
        ]
        assert sum(revision.alone for revision in revisions) == model.old_size()
        return [record]


@pytest.mark.parametrize("which", [name for name in BACKENDS if name != "sqlite-file"])
def test_every_history_is_as_the_model_says(which, request):
    url = request.getfixturevalue("redis_server").unix_url if which in ("redis", "sealed-redis") else None
    run_state_machine_as_test(
        lambda: Histories(which, url),
        settings=settings(
            max_examples=40 if which in ("redis", "sqlite-memory") else 10,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
