"""Random histories of two pods on one session, on every backend, against a model that fits on a page.

The model knows nothing of transactions: what it says must hold after every step, whatever was refused,
repeated, left half-way (chunks written, commit never sent), expired or collected in between.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
from backends import Backend, fake_client, redis_backend, sqlite_backend
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from redis.asyncio import Redis

from conftest import BACKENDS
from kernel_broker.store.contract import (
    ChunkMissing,
    Commit,
    Lease,
    LeaseHeld,
    RevisionMismatch,
    RunRecord,
    SessionMissing,
    SessionRecord,
    StaleLease,
)
from kernel_broker.wire.ids import ChunkId, Revision, RunId, SessionId

SID = SessionId("s")
TTL, LEASE, GRACE = 1000, 100, 300
PODS = st.sampled_from(["pod-a", "pod-b"])
WHOSE = st.tuples(PODS, st.sampled_from([0, 0, 0, 1, 2]))
"""A lease: the last one a pod got, or one it should have thrown away."""
NAMES = st.sampled_from(["x", "y", "z"])
CHUNKS = st.sets(st.sampled_from([ChunkId(f"c{number}") for number in range(5)]), max_size=3)
RUNS = st.sampled_from([RunId(f"r{number}") for number in range(3)])


def bytes_of(chunk_id: ChunkId) -> bytes:
    return chunk_id.encode() * 7


@dataclass
class Model:
    """What the session must look like. Times are seconds since the test began."""

    revision: int = 0
    entries: dict[str, bytes] = field(default_factory=dict)
    refs: set[ChunkId] = field(default_factory=set)
    loose: dict[ChunkId, float] = field(default_factory=dict)
    runs: dict[RunId, RunRecord] = field(default_factory=dict)
    lease: Lease | None = None
    lease_until: float = 0
    last: Commit | None = None
    used: float = 0

    def size(self) -> int:
        return sum(map(len, self.entries.values())) + sum(len(bytes_of(chunk_id)) for chunk_id in self.refs)


class Histories(RuleBasedStateMachine):
    def __init__(self, which: str, url: str | None) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.backend: Backend = self.do(self.enter(which, url))
        self.store = self.backend.store
        self.now = 0.0
        self.model: Model | None = None
        self.leases: dict[str, list[Lease]] = {"pod-a": [], "pod-b": []}  # the latest first

    async def enter(self, which: str, url: str | None) -> Backend:
        if which == "redis":
            client = Redis.from_url(url, protocol=2)
            await client.flushall()
            chosen = redis_backend(client)
        else:
            chosen = redis_backend(fake_client()) if which == "fakeredis" else sqlite_backend(None)
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
        except (SessionMissing, StaleLease, LeaseHeld, RevisionMismatch, ChunkMissing) as refusal:
            return type(refusal)

    def lease_of(self, whose: tuple[str, int]) -> Lease | None:
        pod, older = whose
        return self.leases[pod][older] if older < len(self.leases[pod]) else None

    def use(self) -> None:
        self.model.used = self.now

    def refusal(self, lease: Lease) -> type[Exception] | None:
        if self.model is None:
            return SessionMissing
        return None if lease == self.model.lease else StaleLease

    @rule()
    def create(self):
        record = SessionRecord(SID, "ada", Revision(0), 1.0, 1.0, TTL, b"doc")
        assert self.do(self.store.create(record)) is (self.model is None)
        if self.model is None:
            self.model = Model(used=self.now)

    @rule()
    def delete(self):
        assert self.do(self.store.delete(SID)) is (self.model is not None)
        self.model = None

    @rule(seconds=st.sampled_from([1, LEASE - 10, LEASE + 10, GRACE, TTL // 2]))
    def time_passes(self, seconds):
        self.do(self.backend.age(seconds))
        self.now += seconds
        if self.model and self.now >= self.model.used + TTL:
            self.model = None
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
        self.model.loose |= dict.fromkeys(chunks - self.model.refs, self.now)
        self.use()

    @rule(chunks=CHUNKS)
    def missing(self, chunks):
        there = self.model.refs | self.model.loose.keys() if self.model else set()
        assert self.do(self.store.missing(SID, chunks)) == chunks - there
        if self.model:
            self.model.loose |= dict.fromkeys(chunks & self.model.loose.keys(), self.now)

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
        elif not add <= self.model.refs | self.model.loose.keys():
            assert got is ChunkMissing
        else:
            assert got == head + 1
            self.apply(step)

    def apply(self, step: Commit) -> None:
        model = self.model
        for name in step.delete:
            model.entries.pop(name, None)
        model.entries |= step.put
        dropped = (set(step.drop) - set(step.add)) & model.refs
        model.refs = model.refs - dropped | set(step.add)
        model.loose |= dict.fromkeys(dropped, self.now)
        for chunk_id in step.add:
            model.loose.pop(chunk_id, None)
        if step.run:
            model.runs[step.run.run_id] = step.run
        model.revision += 1
        model.last = step
        model.lease_until = self.now + LEASE
        self.use()

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
            self.model.revision += 1
            self.model.entries = {}
            self.model.loose |= dict.fromkeys(self.model.refs, self.now)
            self.model.refs = set()
            self.model.last = None
            self.use()

    @rule()
    def collect(self):
        self.do(self.store.collect(self.backend.clock(), GRACE))
        if self.model:
            kept = {chunk_id: at for chunk_id, at in self.model.loose.items() if self.now < at + GRACE}
            self.model.loose = kept

    @invariant()
    def store_and_model_agree(self):
        record = self.do(self.store.get(SID))
        assert self.do(self.store.list("ada")) == ([record] if record else [])
        if self.model is None:
            assert record is None
            return
        assert (record.revision, record.size) == (self.model.revision, self.model.size())
        assert self.do(self.store.entries(SID)) == self.model.entries
        known = {chunk_id: bytes_of(chunk_id) for chunk_id in self.model.refs | self.model.loose.keys()}
        assert self.do(self.store.get_chunks(SID, [f"c{number}" for number in range(5)])) == known
        for run, expected in self.model.runs.items():
            assert self.do(self.store.get_run(SID, run)) == expected


@pytest.mark.parametrize("which", [name for name in BACKENDS if name != "sqlite-file"])
def test_every_history_is_as_the_model_says(which, request):
    url = request.getfixturevalue("redis_server").unix_url if which == "redis" else None
    run_state_machine_as_test(
        lambda: Histories(which, url),
        settings=settings(
            max_examples=15 if which == "fakeredis" else 60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
