"""What the contract promises of commits, asked of every backend."""

import asyncio
from dataclasses import replace

import pytest
from samples import BINARY, SID, A, B, C, held, record, step

from kernel_broker.store.contract import (
    ChunkMissing,
    Lease,
    LeaseHeld,
    RevisionMismatch,
    RunRecord,
    StaleLease,
)
from kernel_broker.wire.ids import ChunkId, Revision, RunId


async def test_a_commit_changes_entries_doc_size_and_revision_together(backend):
    lease = await held(backend)
    await backend.store.put_chunks(SID, {A: b"12345", B: b"x" * 10})
    first = step(lease, put={"x": BINARY, "y": b"", "z": b"zz"}, add=[A, B], at=2222.5, doc=b"one\xff")
    assert await backend.store.commit(first) == 1
    size = len(BINARY) + 2 + 15 + 5 * backend.extra
    expected = record(revision=1, last_activity=2222.5, doc=b"one\xff", size=size)
    assert await backend.store.get(SID) == expected
    second = step(lease, 1, put={"x": b"new"}, delete=["y", "never"], drop=[B, ChunkId("never")])
    assert await backend.store.commit(second) == 2
    assert await backend.store.entries(SID) == {"x": b"new", "z": b"zz"}
    assert (await backend.store.get(SID)).size == 3 + 2 + 5 + 3 * backend.extra


async def test_names_of_entries_may_be_any_text(backend):
    lease = await held(backend)
    put = {"": b"empty", "ünïcode ☃": b"1", "a b\n": b"2", "x" * 1000: b"3", "'; DROP TABLE entries": b"4"}
    await backend.store.commit(step(lease, put=put))
    assert await backend.store.entries(SID) == put


async def test_what_is_both_given_and_taken_stays(backend):
    lease = await held(backend)
    await backend.store.put_chunks(SID, {A: b"12345"})
    await backend.store.commit(step(lease, put={"x": b"1"}, delete=["x"], add=[A], drop=[A]))
    assert await backend.store.entries(SID) == {"x": b"1"}
    await backend.store.commit(step(lease, 1, add=[A]))
    assert (await backend.store.get(SID)).size == 6 + 2 * backend.extra
    await backend.age(90)
    await backend.store.collect(backend.clock(), 60)
    assert await backend.store.get_chunks(SID, [A]) == {A: b"12345"}


@pytest.mark.parametrize("parent", [0, 2])
async def test_a_commit_on_another_revision_changes_nothing(backend, parent):
    lease = await held(backend)
    await backend.store.commit(step(lease, put={"x": b"1"}))
    before = await backend.store.get(SID)
    with pytest.raises(RevisionMismatch) as refusal:
        await backend.store.commit(step(lease, parent, put={"x": b"2"}, doc=b"no"))
    assert refusal.value.problem.extra == {"revision": 1}
    assert await backend.store.get(SID) == before
    assert await backend.store.entries(SID) == {"x": b"1"}


async def test_a_stale_commit_changes_nothing(backend):
    stale = await held(backend)
    await backend.store.acquire(SID, "pod-a", 30)
    before = await backend.store.get(SID)
    run = RunRecord(RunId("r"), True, Revision(1))
    with pytest.raises(StaleLease):
        await backend.store.commit(step(stale, put={"x": b"2"}, run=run))
    assert await backend.store.get(SID) == before
    assert await backend.store.entries(SID) == {}
    assert await backend.store.get_run(SID, run.run_id) is None


async def test_a_commit_without_its_chunks_changes_nothing(backend):
    lease = await held(backend)
    await backend.store.put_chunks(SID, {A: b"x"})
    whole = step(lease, put={"x": b"1"}, add=[A, B, C])
    with pytest.raises(ChunkMissing) as refusal:
        await backend.store.commit(whole)
    assert refusal.value.chunk_ids == {B, C}
    assert await backend.store.entries(SID) == {}
    await backend.store.put_chunks(SID, {B: b"y", C: b"z"})
    assert await backend.store.commit(whole) == 1


async def test_a_repeated_commit_is_applied_once(backend):
    lease = await held(backend)
    once = step(lease, put={"x": b"1"})
    assert await backend.store.commit(once) == 1
    assert await backend.store.commit(once) == 1
    await backend.store.acquire(SID, "pod-a", 30)
    assert await backend.store.commit(once) == 1  # its answer was lost, then the lease
    with pytest.raises(StaleLease):
        await backend.store.commit(replace(once, token="another"))


async def test_of_many_commits_on_one_revision_one_wins(backend):
    lease = await held(backend)
    steps = [step(lease, put={"winner": b"%d" % number}) for number in range(20)]
    outcomes = await asyncio.gather(*map(backend.store.commit, steps), return_exceptions=True)
    assert sorted(map(type, outcomes), key=str) == sorted([int] + [RevisionMismatch] * 19, key=str)
    assert await backend.store.entries(SID) == {"winner": b"%d" % outcomes.index(1)}


async def test_of_many_pods_one_gets_the_lease(backend):
    await backend.store.create(record())
    tries = [backend.store.acquire(SID, f"pod-{number}", 30) for number in range(20)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(outcome, Lease) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, LeaseHeld) for outcome in outcomes) == 19


async def test_reset_drops_the_state_and_keeps_runs_and_lease(backend):
    lease = await held(backend)
    await backend.store.put_chunks(SID, {A: b"x"})
    run = RunRecord(RunId("r"), True, Revision(1), b"log")
    await backend.store.commit(step(lease, put={"x": b"1"}, add=[A], run=run))
    assert await backend.store.reset(lease, b"fresh", 4000.5) == 2
    assert await backend.store.get(SID) == record(revision=2, doc=b"fresh", last_activity=4000.5)
    assert await backend.store.entries(SID) == {}
    assert await backend.store.begin_run(lease, RunId("r"), 1, 30) == run
    await backend.age(61)
    assert await backend.store.collect(backend.clock(), 60) == 1
    assert await backend.store.commit(step(lease, 2, put={"y": b"2"})) == 3


async def test_the_repetition_of_a_start_is_told_from_a_second_start(backend):
    lease = await held(backend)
    assert await backend.store.begin_run(lease, RunId("r"), 1, 30, "mine") is None
    assert await backend.store.begin_run(lease, RunId("r"), 1, 30, "mine") is None
    begun = RunRecord(RunId("r"), False, Revision(0))
    assert await backend.store.begin_run(lease, RunId("r"), 1, 30, "another") == begun
    assert await backend.store.get_run(SID, RunId("r")) == begun
