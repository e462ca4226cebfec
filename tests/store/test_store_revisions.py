"""What the contract promises of the past: revisions, checkouts, forks, asked of every backend."""

from dataclasses import replace

import pytest
from samples import SID, A, B, C, held, record, step

from kernel_broker.store.contract import (
    History,
    RevisionMismatch,
    RevisionMissing,
    RunRecord,
    SessionMissing,
    StaleLease,
)
from kernel_broker.wire.ids import ChunkId, Revision, RunId, SessionId

FORK, OTHER = SessionId("fork"), SessionId("other")


@pytest.fixture
def history() -> History:
    return History(revisions=4, size=1000)


def kept(revisions) -> list[int]:
    return [revision.revision for revision in revisions]


async def test_a_revision_is_known_by_what_its_commit_said(backend):
    lease = await held(backend)
    await backend.store.put_chunks(SID, {A: b"12345"})
    run = RunRecord(RunId("r"), True, Revision(1))
    await backend.store.commit(step(lease, put={"x": b"123"}, add=[A], doc=b"one\xff", at=11.5, run=run))
    await backend.store.commit(step(lease, 1, put={"x": b"1", "y": b"22"}, drop=[A], doc=b"two", at=12.5))
    zero, one, two = await backend.store.revisions(SID)
    assert (zero.revision, zero.run_id, zero.doc, zero.size, zero.alone) == (0, None, record().doc, 0, 0)
    assert (one.revision, one.at, one.run_id, one.doc) == (1, 11.5, "r", b"one\xff")
    assert (one.size, one.alone) == (8 + 2 * backend.extra, 8 + 2 * backend.extra)
    assert (two.revision, two.at, two.run_id, two.doc) == (2, 12.5, None, b"two")
    assert (two.size, two.alone) == (3 + 2 * backend.extra, 0)


async def test_a_checkout_is_a_new_head_with_the_old_state(backend):
    lease = await held(backend)
    store = backend.store
    await store.put_chunks(SID, {A: b"aaaa", B: b"bb"})
    await store.commit(step(lease, put={"x": b"1", "gone": b"g"}, add=[A]))
    await store.commit(step(lease, 1, put={"x": b"2", "new": b"n"}, delete=["gone"], add=[B], drop=[A]))
    assert await store.checkout(lease, Revision(1), b"back", 3000.5) == 3
    assert await store.entries(SID) == {"x": b"1", "gone": b"g"}
    head = await store.get(SID)
    assert (head.revision, head.doc, head.last_activity, head.size) == (
        3,
        b"back",
        3000.5,
        6 + 3 * backend.extra,
    )
    assert await store.checkout(lease, Revision(2), b"forth", 3001.5) == 4
    assert await store.entries(SID) == {"x": b"2", "new": b"n"}
    assert (await store.get(SID)).size == 4 + 3 * backend.extra
    assert kept(await store.revisions(SID)) == [1, 2, 3, 4]
    await backend.age(90)
    assert await store.collect(backend.clock(), 60) == 0
    assert await store.get_chunks(SID, [A, B]) == {A: b"aaaa", B: b"bb"}
    with pytest.raises(RevisionMismatch):
        await store.commit(step(lease, 2))
    assert await store.commit(step(lease, 4)) == 5


async def test_a_checkout_of_the_head_and_of_the_empty_start(backend):
    lease = await held(backend)
    await backend.store.commit(step(lease, put={"x": b"1"}))
    assert await backend.store.checkout(lease, Revision(1), b"same", 3.0) == 2
    assert await backend.store.entries(SID) == {"x": b"1"}
    assert await backend.store.checkout(lease, Revision(0), b"empty", 3.0) == 3
    assert await backend.store.entries(SID) == {}
    assert (await backend.store.get(SID)).size == 0


async def test_a_checkout_is_refused_without_the_lease_or_the_revision(backend):
    stale = await held(backend)
    lease = await backend.store.acquire(SID, "pod-a", 30)
    for revision in range(6):
        await backend.store.commit(step(lease, revision, put={"x": b"%d" % revision}))
    before = await backend.store.get(SID)
    with pytest.raises(StaleLease):
        await backend.store.checkout(stale, Revision(5), b"no", 1.0)
    for unknown in (2, 7):
        with pytest.raises(RevisionMissing, match="revisions 3 to 6 are kept") as refusal:
            await backend.store.checkout(lease, Revision(unknown), b"no", 1.0)
        assert refusal.value.kept == (3, 6)
        assert refusal.value.problem.extra == {"kept": [3, 6]}
        with pytest.raises(RevisionMissing):
            await backend.store.fork(SID, Revision(unknown), record(FORK))
    assert await backend.store.get(SID) == before
    assert await backend.store.get(FORK) is None


async def test_a_repeated_checkout_is_made_once(backend):
    lease = await held(backend)
    await backend.store.commit(step(lease, put={"x": b"1"}))
    assert await backend.store.checkout(lease, Revision(0), b"", 1.0, "token") == 2
    assert await backend.store.checkout(lease, Revision(0), b"", 1.0, "token") == 2
    assert await backend.store.checkout(lease, Revision(0), b"", 1.0, "another") == 3


async def test_the_past_is_bounded_by_count_and_lets_its_chunks_go(backend):
    lease = await held(backend)
    names = [ChunkId(f"c{number}") for number in range(8)]
    for number, name in enumerate(names):
        await backend.store.put_chunks(SID, {name: b"x" * 10})
        change = {"put": {"x": b"%d" % number}, "add": [name], "drop": names[:number]}
        await backend.store.commit(step(lease, number, **change))
    assert kept(await backend.store.revisions(SID)) == [5, 6, 7, 8]
    await backend.age(61)
    assert await backend.store.collect(backend.clock(), 60) == 4
    assert await backend.store.missing(SID, names) == set(names[:4])


async def test_the_past_is_bounded_by_bytes(backend):
    lease = await held(backend)
    await backend.store.put_chunks(SID, {A: b"x" * 600, B: b"y" * 600, C: b"z" * 5000})
    await backend.store.commit(step(lease, add=[A], put={"e": b"1"}))
    await backend.store.commit(step(lease, 1, add=[B], drop=[A]))
    assert kept(await backend.store.revisions(SID)) == [0, 1, 2]
    await backend.store.commit(step(lease, 2, add=[C], drop=[B]))
    assert kept(await backend.store.revisions(SID)) == [2, 3]
    await backend.store.commit(step(lease, 3, drop=[C]))  # more than the bound by itself
    assert kept(await backend.store.revisions(SID)) == [4]
    assert await backend.store.entries(SID) == {"e": b"1"}
    await backend.age(61)
    assert await backend.store.collect(backend.clock(), 60) == 3


async def test_a_chunk_that_comes_and_goes_is_counted_once(backend):
    lease = await held(backend)
    await backend.store.put_chunks(SID, {A: b"x" * 800})
    for number in range(9):
        change = {"drop": [A]} if number % 2 else {"add": [A]}
        await backend.store.commit(step(lease, number, **change))
        assert len(await backend.store.revisions(SID)) == min(number + 2, 4)
    assert sum(revision.alone for revision in await backend.store.revisions(SID)) == 0
    await backend.store.commit(step(lease, 9, drop=[A]))
    assert [revision.alone for revision in await backend.store.revisions(SID)] == [
        0,
        0,
        800 + backend.extra,
        0,
    ]


async def test_a_reset_can_be_undone(backend):
    lease = await held(backend)
    await backend.store.put_chunks(SID, {A: b"x"})
    await backend.store.commit(step(lease, put={"x": b"1"}, add=[A]))
    assert await backend.store.reset(lease, b"fresh", 2.0) == 2
    assert await backend.store.entries(SID) == {}
    await backend.age(61)
    await backend.store.collect(backend.clock(), 60)
    assert await backend.store.checkout(lease, Revision(1), b"again", 3.0) == 3
    assert await backend.store.entries(SID) == {"x": b"1"}
    assert await backend.store.get_chunks(SID, [A]) == {A: b"x"}


async def worked_in(backend):
    lease = await held(backend)
    await backend.store.put_chunks(SID, {A: b"aaaa", B: b"bb"})
    await backend.store.commit(step(lease, put={"x": b"1"}, add=[A]))
    await backend.store.commit(step(lease, 1, put={"x": b"22"}, add=[B], drop=[A]))
    return lease


@pytest.mark.parametrize(("revision", "entries", "chunk"), [(None, b"22", B), (2, b"22", B), (1, b"1", A)])
async def test_a_fork_starts_at_a_revision_and_goes_its_own_way(backend, revision, entries, chunk):
    store = backend.store
    lease = await worked_in(backend)
    assert await store.fork(SID, revision and Revision(revision), record(FORK, "bob", 7.5, doc=b"child"))
    child = await store.get(FORK)
    size = len(entries) + (4 if chunk == A else 2) + 2 * backend.extra
    assert child == record(FORK, "bob", 7.5, doc=b"child", revision=revision or 2, size=size)
    assert await store.entries(FORK) == {"x": entries}
    assert set(await store.get_chunks(FORK, [chunk])) == {chunk}
    assert kept(await store.revisions(FORK)) == [revision or 2]
    theirs = await store.acquire(FORK, "pod-b", 30)
    await store.put_chunks(FORK, {C: b"ccc"})
    assert (
        await store.commit(step(theirs, child.revision, put={"x": b"child"}, add=[C])) == child.revision + 1
    )
    assert await store.entries(SID) == {"x": b"22"}
    await store.commit(step(lease, 2, put={"x": b"parent"}))
    assert await store.entries(FORK) == {"x": b"child"}
    assert {r.session_id for r in await store.list()} == {SID, FORK}
    assert [r.session_id for r in await store.list("bob")] == [FORK]


@pytest.mark.parametrize(("first", "second"), [(SID, FORK), (FORK, SID)])
async def test_chunks_stay_until_the_last_of_a_family_is_deleted(backend, first, second):
    await worked_in(backend)
    assert await backend.store.fork(SID, None, record(FORK, ttl=500.0))
    await backend.store.touch(SID, 1.0)
    assert await backend.store.delete(first)
    await backend.age(61)
    await backend.store.collect(backend.clock(), 60)
    assert await backend.store.get(first) is None
    assert await backend.store.entries(second) == {"x": b"22"}
    assert await backend.store.get_chunks(second, [B]) == {B: b"bb"}
    assert await backend.store.delete(second)
    await backend.store.create(record(second))
    assert await backend.store.missing(second, [A, B]) == {A, B}


async def test_what_one_session_drops_stays_for_its_fork(backend):
    lease = await worked_in(backend)
    await backend.store.fork(SID, Revision(1), record(FORK, ttl=10_000.0))
    theirs = await backend.store.acquire(FORK, "pod-b", 3000)
    for revision in range(2, 8):
        await backend.store.commit(step(lease, revision, drop=[A, B]))
    await backend.age(61)
    assert await backend.store.collect(backend.clock(), 60) == 1  # B
    assert await backend.store.get_chunks(FORK, [A, B]) == {A: b"aaaa"}
    await backend.age(61)  # the parent expires
    await backend.store.collect(backend.clock(), 60)
    assert await backend.store.get(SID) is None
    assert await backend.store.get_chunks(FORK, [A]) == {A: b"aaaa"}
    for revision in range(1, 7):
        await backend.store.commit(step(theirs, revision, drop=[A]))
    await backend.age(61)
    assert await backend.store.collect(backend.clock(), 60) == 1
    assert await backend.store.missing(FORK, [A]) == {A}


async def test_a_fork_of_a_fork(backend):
    await worked_in(backend)
    await backend.store.fork(SID, Revision(1), record(FORK))
    assert await backend.store.fork(FORK, None, record(OTHER))
    for gone in (SID, FORK):
        assert await backend.store.delete(gone)
    assert await backend.store.entries(OTHER) == {"x": b"1"}
    assert await backend.store.get_chunks(OTHER, [A, B]) == {A: b"aaaa"}


async def test_an_id_can_be_taken_once_and_again_after_it_was_deleted(backend):
    await worked_in(backend)
    await backend.store.create(record(FORK))
    assert await backend.store.fork(SID, None, record(FORK)) is False
    assert await backend.store.entries(FORK) == {}
    assert await backend.store.delete(FORK)
    assert await backend.store.fork(SID, None, record(FORK)) is True
    assert await backend.store.create(record(FORK)) is False
    assert await backend.store.fork(SID, None, record(FORK)) is False
    assert await backend.store.entries(FORK) == {"x": b"22"}
    assert await backend.store.delete(FORK)
    assert await backend.store.delete(FORK) is False
    assert await backend.store.create(record(FORK)) is True
    assert await backend.store.entries(FORK) == {}
    assert await backend.store.delete(SID)
    assert await backend.store.create(record()) is True
    with pytest.raises(SessionMissing):
        await backend.store.fork(OTHER, None, record(SessionId("t")))
    with pytest.raises(SessionMissing):
        await backend.store.revisions(OTHER)


async def test_a_fork_expires_by_itself_and_its_id_is_free_again(backend):
    lease = await worked_in(backend)
    await backend.store.fork(SID, None, record(FORK, ttl=50.0))
    await backend.store.renew(lease, 1000)
    await backend.age(51)
    assert await backend.store.get(FORK) is None
    assert await backend.store.collect(backend.clock(), 600) == 1
    assert [r.session_id for r in await backend.store.list()] == [SID]
    assert await backend.store.create(record(FORK)) is True
    assert await backend.store.get_chunks(SID, [A, B]) == {A: b"aaaa", B: b"bb"}


async def test_every_call_finds_a_fork(backend):
    await worked_in(backend)
    await backend.store.fork(SID, None, record(FORK))
    lease = await backend.store.acquire(FORK, "pod", 30)
    assert await backend.store.begin_run(lease, RunId("r"), 5.0, 30) is None
    assert (await backend.store.get_run(FORK, RunId("r"))).finished is False
    assert await backend.store.get_run(SID, RunId("r")) is None
    await backend.store.touch(FORK, 9.5)
    assert (await backend.store.get(FORK)).last_activity == 9.5
    await backend.store.renew(lease, 60)
    await backend.store.release(lease)
    with pytest.raises(StaleLease):
        await backend.store.commit(step(lease, 2))
    assert await backend.store.missing(FORK, [A, C]) == {C}
    assert (
        await backend.store.checkout(await backend.store.acquire(FORK, "pod", 30), Revision(2), b"", 1.0) == 3
    )
    assert replace(await backend.store.get(FORK), last_activity=0.0).revision == 3
