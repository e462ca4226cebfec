"""What the contract promises of chunks, asked of every backend."""

import pytest
from samples import BINARY, SID, A, B, C, held, record, step

from kernel_broker.wire.ids import ChunkId, SessionId


async def test_a_chunk_that_exists_is_left_as_it_is(backend):
    await held(backend)
    assert await backend.store.missing(SID, [A, B]) == {A, B}
    await backend.store.put_chunks(SID, {A: BINARY})
    await backend.store.put_chunks(SID, {A: b"forged", B: b""})
    assert await backend.store.missing(SID, [A, B, C]) == {C}
    assert await backend.store.get_chunks(SID, [A, B, C]) == {A: BINARY, B: b""}


async def test_a_damaged_chunk_is_discarded_and_can_be_written_anew(backend):
    lease = await held(backend)
    await backend.store.put_chunks(SID, {A: b"damaged", B: BINARY})
    await backend.store.commit(step(lease, add=[A, B]))
    size = (await backend.store.get(SID)).size
    await backend.store.discard(SID, {A: b"damaged", B: b"other", C: b"none"})
    assert await backend.store.missing(SID, [A, B]) == {A}
    assert await backend.store.get_chunks(SID, [A, B]) == {B: BINARY}
    await backend.store.put_chunks(SID, {A: BINARY[:7], B: b"forged"})
    assert await backend.store.get_chunks(SID, [A, B]) == {A: BINARY[:7], B: BINARY}
    await backend.store.discard(SID, {A: b"damaged"})
    await backend.store.commit(step(lease, 1, add=[A]))
    assert await backend.store.get_chunks(SID, [A]) == {A: BINARY[:7]}
    assert (await backend.store.get(SID)).size == size
    await backend.age(61)
    await backend.store.collect(backend.clock(), 60)
    assert await backend.store.missing(SID, [A, B]) == set()


async def test_what_is_discarded_is_gone_for_the_family_and_comes_back_for_it(backend):
    lease = await held(backend)
    await backend.store.put_chunks(SID, {A: b"damaged"})
    await backend.store.commit(step(lease, add=[A]))
    fork = SessionId("fork")
    await backend.store.fork(SID, None, record(fork))
    await backend.store.discard(fork, {A: b"damaged"})
    assert await backend.store.get_chunks(SID, [A]) == {}
    await backend.store.put_chunks(SID, {A: b"whole.."})
    assert await backend.store.get_chunks(fork, [A]) == {A: b"whole.."}


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
    assert (await backend.store.get(SID)).size == 20 * ((1 << 20) + backend.extra)


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
