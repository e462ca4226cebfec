"""What the contract promises of sessions, leases and runs, asked of every backend."""

import pytest
from samples import BINARY, SID, A, B, held, record, step

from kernel_broker.store.contract import (
    RUNS_KEPT,
    Lease,
    LeaseHeld,
    RunRecord,
    SessionMissing,
    StaleLease,
    StoreUnavailable,
)
from kernel_broker.wire.ids import Revision, RunId, SessionId


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


async def test_ping_answers(backend):
    await backend.store.ping()


async def test_a_closed_store_says_so_and_closes_again(backend):
    await backend.store.close()
    await backend.store.close()
    for use in (backend.store.ping(), backend.store.get(SID), backend.store.list()):
        with pytest.raises(StoreUnavailable, match="closed"):
            await use
