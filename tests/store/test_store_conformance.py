"""What the contract promises, asked of every backend."""

import asyncio
from dataclasses import replace

import pytest
from backends import Backend

from kernel_broker.store.contract import (
    RUNS_KEPT,
    ChunkMissing,
    Commit,
    Lease,
    LeaseHeld,
    RevisionMismatch,
    RunRecord,
    SessionMissing,
    SessionRecord,
    StaleLease,
    StoreUnavailable,
)
from kernel_broker.wire.ids import ChunkId, Revision, RunId, SessionId

SID = SessionId("s-1.a:b_C")
A, B, C = ChunkId("aa"), ChunkId("bb"), ChunkId("cc")
BINARY = bytes(range(256)) * 2


def record(session_id: SessionId = SID, owner: str = "ada", at: float = 1000.25, **fields) -> SessionRecord:
    base = SessionRecord(session_id, owner, Revision(0), at, at, 100.0, b'{"doc": 1}\x00\xff')
    return replace(base, **fields)


def step(lease: Lease, parent: int = 0, **fields) -> Commit:
    return Commit(lease, Revision(parent), **{"at": 2000.5, "doc": b"doc", **fields})


async def held(backend: Backend, session_id: SessionId = SID) -> Lease:
    await backend.store.create(record(session_id))
    return await backend.store.acquire(session_id, "pod-a", 30)


async def test_a_session_comes_back_as_it_was_created(backend):
    assert await backend.store.get(SID) is None
    assert await backend.store.create(record(size=99)) is True
    assert await backend.store.get(SID) == record()
    assert await backend.store.entries(SID) == {}


async def test_create_leaves_an_existing_session_alone(backend):
    await backend.store.create(record())
    assert await backend.store.create(record(owner="eve", doc=b"other")) is False
    assert await backend.store.get(SID) == record()
    assert [r.session_id for r in await backend.store.list("ada")] == [SID]
    assert await backend.store.list("eve") == []


async def test_list_is_by_owner_and_the_most_recently_active_come_first(backend):
    for number, owner in enumerate(["ada", "bob", "ada", "ünïcode {x}"]):
        await backend.store.create(record(SessionId(f"s{number}"), owner, at=float(number)))
    await backend.store.touch(SessionId("s0"), 50.5)
    assert [r.session_id for r in await backend.store.list()] == ["s0", "s3", "s2", "s1"]
    assert [r.session_id for r in await backend.store.list("ada")] == ["s0", "s2"]
    assert [r.owner for r in await backend.store.list("ünïcode {x}")] == ["ünïcode {x}"]
    assert (await backend.store.get(SessionId("s0"))).last_activity == 50.5


async def test_more_sessions_than_one_batch_are_listed_and_kept_by_collect(backend):
    for number in range(520):
        await backend.store.create(record(SessionId(f"s{number}"), at=float(number)))
    assert [r.last_activity for r in await backend.store.list()] == [float(n) for n in reversed(range(520))]
    assert await backend.store.collect(backend.clock(), 60) == 0


async def test_a_session_expires_after_its_ttl_without_use(backend):
    lease = await held(backend)
    await backend.store.put_chunks(SID, {A: b"x"})
    await backend.store.commit(step(lease, put={"x": b"1"}, add=[A]))
    await backend.store.release(lease)
    await backend.age(60)
    await backend.store.touch(SID, 3000)
    await backend.age(60)
    assert (await backend.store.get(SID)).last_activity == 3000
    assert await backend.store.get_chunks(SID, [A]) == {A: b"x"}
    await backend.age(41)
    assert await backend.store.get(SID) is None
    assert await backend.store.list() == []
    with pytest.raises(SessionMissing):
        await backend.store.entries(SID)
    assert await backend.store.create(record()) is True
    assert await backend.store.entries(SID) == {}
    assert await backend.store.missing(SID, [A]) <= {A}


async def test_touching_what_has_expired_does_not_bring_it_back(backend):
    await backend.store.create(record())
    await backend.age(101)
    await backend.store.touch(SID, 5000)
    assert await backend.store.get(SID) is None


async def test_no_session_expires_before_its_lease(backend):
    await backend.store.create(record())
    lease = await backend.store.acquire(SID, "pod-a", 1000)
    await backend.age(900)
    assert await backend.store.get(SID) is not None
    await backend.store.renew(lease, 1000)
    await backend.age(900)
    assert await backend.store.commit(step(lease)) == 1


async def test_chunks_of_a_session_in_use_outlive_many_ttls(backend):
    lease = await held(backend)
    await backend.store.put_chunks(SID, {A: b"x"})
    await backend.store.commit(step(lease, add=[A]))
    for number in range(12):
        await backend.age(33)
        await (backend.store.touch(SID, number) if number % 2 else backend.store.renew(lease, 30))
    assert await backend.store.get_chunks(SID, [A]) == {A: b"x"}


async def test_delete_forgets_everything_whoever_holds_it(backend):
    lease = await held(backend)
    await backend.store.put_chunks(SID, {A: b"x", B: b"y"})
    await backend.store.begin_run(lease, RunId("r"), 1, 30)
    await backend.store.commit(step(lease, put={"x": b"1"}, add=[A]))
    assert await backend.store.delete(SID) is True
    assert await backend.store.delete(SID) is False
    assert await backend.store.get(SID) is None
    assert await backend.store.list("ada") == []
    await backend.store.create(record())
    assert await backend.store.entries(SID) == {}
    assert await backend.store.get_chunks(SID, [A, B]) == {}
    assert await backend.store.get_run(SID, RunId("r")) is None


async def test_a_lease_of_a_deleted_session_never_fits_its_namesake(backend):
    old = await held(backend)
    await backend.store.delete(SID)
    new = await held(backend)
    assert new.epoch > old.epoch
    with pytest.raises(StaleLease):
        await backend.store.commit(step(old))


async def test_every_acquire_makes_the_lease_before_it_stale(backend):
    first = await held(backend)
    second = await backend.store.acquire(SID, "pod-a", 30)
    assert second.epoch > first.epoch
    for use in (
        backend.store.renew(first, 30),
        backend.store.begin_run(first, RunId("r"), 1, 30),
        backend.store.commit(step(first)),
        backend.store.reset(first, b"", 1),
    ):
        with pytest.raises(StaleLease):
            await use
    await backend.store.release(first)  # not this one any more: nothing happens
    with pytest.raises(LeaseHeld):
        await backend.store.acquire(SID, "pod-b", 30)
    assert await backend.store.commit(step(second)) == 1


async def test_another_holder_waits_for_the_lease_to_end(backend):
    lease = await held(backend)
    with pytest.raises(LeaseHeld) as refusal:
        await backend.store.acquire(SID, "pod-b", 30)
    assert refusal.value.holder == "pod-a"
    assert 20 < refusal.value.expires_in <= 30
    await backend.age(31)
    taken = await backend.store.acquire(SID, "pod-b", 30)
    assert taken.epoch > lease.epoch
    with pytest.raises(StaleLease):
        await backend.store.commit(step(lease))


async def test_a_released_lease_is_free_and_void(backend):
    lease = await held(backend)
    await backend.store.release(lease)
    with pytest.raises(StaleLease):
        await backend.store.commit(step(lease))
    await backend.store.acquire(SID, "pod-b", 30)


async def test_a_lapsed_lease_that_nobody_took_still_commits(backend):
    lease = await held(backend)
    await backend.age(31)
    assert await backend.store.commit(step(lease)) == 1
    with pytest.raises(LeaseHeld):  # and the commit renewed it
        await backend.store.acquire(SID, "pod-b", 30)


async def test_a_run_renews_the_lease(backend):
    lease = await held(backend)
    await backend.age(25)
    await backend.store.begin_run(lease, RunId("r"), 1, 60)
    await backend.age(50)
    with pytest.raises(LeaseHeld):
        await backend.store.acquire(SID, "pod-b", 30)


async def test_what_needs_a_session_says_that_there_is_none(backend):
    lease = Lease(SID, "pod-a", 1)
    for use in (
        backend.store.acquire(SID, "pod-a", 30),
        backend.store.renew(lease, 30),
        backend.store.begin_run(lease, RunId("r"), 1, 30),
        backend.store.entries(SID),
        backend.store.put_chunks(SID, {A: b"x"}),
        backend.store.commit(step(lease)),
        backend.store.reset(lease, b"", 1),
    ):
        with pytest.raises(SessionMissing):
            await use
    await backend.store.touch(SID, 1)
    await backend.store.release(lease)
    assert await backend.store.delete(SID) is False
    assert await backend.store.get_run(SID, RunId("r")) is None
    assert await backend.store.missing(SID, [A]) == {A}
    assert await backend.store.get_chunks(SID, [A]) == {}
    assert await backend.store.get(SID) is None


async def test_a_run_begins_once_and_its_outcome_comes_back(backend):
    lease = await held(backend)
    run = RunId("r")
    assert await backend.store.begin_run(lease, run, 1500.5, 30) is None
    assert (await backend.store.get(SID)).last_activity == 1500.5
    begun = RunRecord(run, False, Revision(0))
    assert await backend.store.begin_run(lease, run, 1600, 30) == begun
    assert await backend.store.get_run(SID, run) == begun
    assert (await backend.store.get(SID)).last_activity == 1500.5
    done = RunRecord(run, True, Revision(1), b"1:log\n" + BINARY)
    await backend.store.commit(step(lease, run=done))
    later = await backend.store.acquire(SID, "pod-a", 30)
    assert await backend.store.begin_run(later, run, 1700, 30) == done
    assert await backend.store.get_run(SID, run) == done


async def test_the_last_runs_are_kept(backend):
    lease = await held(backend)
    for number in range(RUNS_KEPT + 3):
        await backend.store.begin_run(lease, RunId(f"r{number}"), 1, 30)
    kept = [await backend.store.get_run(SID, RunId(f"r{number}")) for number in range(RUNS_KEPT + 3)]
    assert [r is not None for r in kept] == [False] * 3 + [True] * RUNS_KEPT


async def test_a_commit_changes_entries_doc_size_and_revision_together(backend):
    lease = await held(backend)
    await backend.store.put_chunks(SID, {A: b"12345", B: b"x" * 10})
    first = step(lease, put={"x": BINARY, "y": b"", "z": b"zz"}, add=[A, B], at=2222.5, doc=b"one\xff")
    assert await backend.store.commit(first) == 1
    expected = record(revision=1, last_activity=2222.5, doc=b"one\xff", size=len(BINARY) + 2 + 15)
    assert await backend.store.get(SID) == expected
    second = step(lease, 1, put={"x": b"new"}, delete=["y", "never"], drop=[B, ChunkId("never")])
    assert await backend.store.commit(second) == 2
    assert await backend.store.entries(SID) == {"x": b"new", "z": b"zz"}
    assert (await backend.store.get(SID)).size == 3 + 2 + 5


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
    assert (await backend.store.get(SID)).size == 6
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


async def test_a_chunk_that_exists_is_left_as_it_is(backend):
    await held(backend)
    assert await backend.store.missing(SID, [A, B]) == {A, B}
    await backend.store.put_chunks(SID, {A: BINARY})
    await backend.store.put_chunks(SID, {A: b"forged", B: b""})
    assert await backend.store.missing(SID, [A, B, C]) == {C}
    assert await backend.store.get_chunks(SID, [A, B, C]) == {A: BINARY, B: b""}


async def test_chunks_belong_to_one_session(backend):
    await held(backend)
    await backend.store.create(record(SessionId("other")))
    await backend.store.put_chunks(SID, {A: b"x"})
    assert await backend.store.missing(SessionId("other"), [A]) == {A}
    assert await backend.store.get_chunks(SessionId("other"), [A]) == {}


async def test_many_large_chunks(backend):
    lease = await held(backend)
    chunks = {ChunkId(f"c{number}"): bytes([number]) * (1 << 20) for number in range(20)}
    await backend.store.put_chunks(SID, chunks)
    await backend.store.commit(step(lease, add=list(chunks)))
    assert await backend.store.get_chunks(SID, list(chunks)) == chunks
    assert (await backend.store.get(SID)).size == 20 << 20


async def test_collect_takes_what_was_dropped_or_never_committed_after_the_grace(backend):
    lease = await held(backend)
    await backend.store.put_chunks(SID, {A: b"kept", B: b"dropped", C: b"orphan"})
    await backend.store.commit(step(lease, add=[A, B]))
    await backend.store.commit(step(lease, 1, drop=[B]))
    assert await backend.store.collect(backend.clock(), 60) == 0
    assert await backend.store.missing(SID, [A]) == set()
    await backend.age(61)
    assert await backend.store.collect(backend.clock(), 60) == 2
    assert await backend.store.missing(SID, [A, B, C]) == {B, C}
    assert await backend.store.collect(backend.clock(), 60) == 0


@pytest.mark.parametrize("ask", ["missing", "put_chunks"])
async def test_a_chunk_asked_for_has_the_grace_anew(backend, ask):
    lease = await held(backend)
    await backend.store.put_chunks(SID, {A: b"x"})
    await backend.age(40)
    await (backend.store.missing(SID, [A]) if ask == "missing" else backend.store.put_chunks(SID, {A: b"x"}))
    await backend.age(40)
    assert await backend.store.collect(backend.clock(), 60) == 0
    assert await backend.store.commit(step(lease, add=[A])) == 1


async def test_a_dropped_chunk_may_be_taken_again(backend):
    lease = await held(backend)
    await backend.store.put_chunks(SID, {A: b"x"})
    await backend.store.commit(step(lease, add=[A]))
    await backend.store.commit(step(lease, 1, drop=[A]))
    await backend.age(50)
    assert await backend.store.missing(SID, [A]) == set()
    await backend.store.commit(step(lease, 2, add=[A]))
    await backend.age(50)
    await backend.store.collect(backend.clock(), 10)
    assert await backend.store.get_chunks(SID, [A]) == {A: b"x"}


async def test_collect_removes_more_than_one_batch(backend):
    await held(backend)
    await backend.store.put_chunks(SID, {ChunkId(f"c{number}"): b"x" for number in range(1100)})
    assert await backend.store.collect(backend.clock() + 61, 60) == 1100


async def test_collect_counts_expired_sessions(backend):
    await backend.store.create(record())
    await backend.store.create(record(SessionId("stays"), ttl=10_000.0))
    await backend.age(101)
    assert await backend.store.collect(backend.clock(), 60) == 1
    assert [r.session_id for r in await backend.store.list()] == ["stays"]


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


async def test_ping_answers(backend):
    await backend.store.ping()


async def test_a_closed_store_says_so_and_closes_again(backend):
    await backend.store.close()
    await backend.store.close()
    for use in (backend.store.ping(), backend.store.get(SID), backend.store.list()):
        with pytest.raises(StoreUnavailable, match="closed"):
            await use
