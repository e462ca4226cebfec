"""What is particular to the past in Redis: one slot a family, claims of ids, what was stored before it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.crc import key_slot
from samples import SID, A, B, held, record, step
from test_store_redis import keys_of_session

from kernel_broker.store.contract import History, RevisionMissing, Store, StoreUnavailable
from kernel_broker.store.open import open_store
from kernel_broker.wire.ids import Revision, SessionId

FORK = SessionId("fork")
OWN = "serverless-ipykernel:{%s}"


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    store = open_store(url, History(revisions=5))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


class Only:
    """A backend of which only the store is used."""

    def __init__(self, store: Store) -> None:
        self.store = store


async def worked_in(store: Store):
    lease = await held(Only(store))
    await store.put_chunks(SID, {A: b"aaaa", B: b"bb"})
    await store.commit(step(lease, put={"x": b"1"}, add=[A]))
    await store.commit(step(lease, 1, put={"x": b"22"}, add=[B], drop=[A]))
    return lease


async def test_a_family_has_one_slot_and_its_keys_expire(redis_server):
    with redis_server.client() as client:
        async with opened(redis_server.url) as store:
            await worked_in(store)
            await store.fork(SID, Revision(1), record(FORK, ttl=1000.0))
            theirs = await store.acquire(FORK, "pod", 30)
            await store.commit(step(theirs, 1, put={"x": b"3"}))
            keys = keys_of_session(client)
            assert any(b":fork:" in key and b":undo:" in key for key in keys)
            assert len({key_slot(key) for key in keys}) == 1
            assert all(client.pttl(key) > 0 for key in keys)
            assert client.hget(OWN % FORK, "home") in keys
            left = client.ttl(OWN % SID + ":chunk:aa")
            assert 900 < left <= 1000 * 9 / 8  # the fork lives longer than the session it came from


async def test_every_pod_finds_a_fork_and_one_that_was_made_anew(redis_server):
    async with opened(redis_server.url) as one, opened(redis_server.unix_url) as other:
        await worked_in(one)
        await one.fork(SID, None, record(FORK))
        assert await other.get_chunks(FORK, [B]) == {B: b"bb"}
        assert await other.entries(FORK) == {"x": b"22"}
        await one.delete(FORK)
        await one.create(record(FORK))
        await other.put_chunks(FORK, {A: b"anew"})
        assert await other.get_chunks(FORK, [A, B]) == {A: b"anew"}
        assert await one.get_chunks(FORK, [A, B]) == {A: b"anew"}
        await one.delete(FORK)
        assert await one.fork(SID, Revision(1), record(FORK)) is True
        assert await other.entries(FORK) == {"x": b"1"}
        assert await other.get_chunks(FORK, [A, B]) == {A: b"aaaa", B: b"bb"}


async def test_an_id_that_was_claimed_by_a_pod_that_died_is_free_again_in_time(redis_server):
    with redis_server.client() as client:
        async with opened(redis_server.url) as store:
            await worked_in(store)
            await store._link.call(OWN % FORK, "claim", f"{OWN % SID}:fork:dead")
            assert 0 < client.ttl(OWN % FORK) <= 600
            assert await store.get(FORK) is None
            assert await store.fork(SID, None, record(FORK)) is False
            assert await store.create(record(FORK)) is False
            client.delete(OWN % FORK)  # as if it had expired
            assert await store.fork(SID, None, record(FORK)) is True
            assert client.ttl(OWN % FORK) == -1


async def test_the_claim_of_a_fork_that_expired_goes_with_it(redis_server):
    with redis_server.client() as client:
        async with opened(redis_server.url) as store:
            await worked_in(store)
            await store.fork(SID, None, record(FORK))
            client.delete(client.hget(OWN % FORK, "home"))  # as if it had expired
            assert await store.collect(2.0, 60) == 1
            assert client.exists(OWN % FORK) == 0
            assert client.hkeys("serverless-ipykernel:sessions") == [SID.encode()]


async def test_a_past_that_redis_evicted_is_not_taken_for_an_empty_one(redis_server):
    with redis_server.client() as client:
        async with opened(redis_server.url) as store:
            lease = await worked_in(store)
            before = await store.get(SID)
            (undo,) = [key for key in client.keys("*:undo:*") if key.endswith(b":2")]
            client.delete(undo)
            for attempt in (
                store.checkout(lease, Revision(1), b"", 1.0),
                store.fork(SID, Revision(1), record(FORK)),
            ):
                with pytest.raises(StoreUnavailable, match=r"evicted.*noeviction"):
                    await attempt
            assert await store.get(SID) == before
            assert await store.get(FORK) is None
            assert await store.checkout(lease, Revision(2), b"", 1.0) == 3


async def test_a_session_of_a_broker_that_kept_no_past_starts_one(redis_server):
    with redis_server.client() as client:
        async with opened(redis_server.url) as store:
            lease = await worked_in(store)
            client.hdel(OWN % SID, "floor", "old_size", "born")
            client.delete(OWN % SID + ":history", *client.keys("*:undo:*"), OWN % SID + ":held")
            with pytest.raises(RevisionMissing):
                await store.checkout(lease, Revision(1), b"", 1.0)
            assert [revision.revision for revision in await store.revisions(SID)] == [2]
            assert await store.commit(step(lease, 2, put={"x": b"3"})) == 3
            assert await store.checkout(lease, Revision(2), b"", 1.0) == 4
            assert await store.entries(SID) == {"x": b"22"}
            await store.touch(SID, 3.0)


async def test_a_past_of_a_namesake_that_expired_is_not_read(redis_server):
    with redis_server.client() as client:
        async with opened(redis_server.url) as store:
            await worked_in(store)
            client.delete(*(key for key in keys_of_session(client) if b":undo:" not in key))
            lease = await held(Only(store))
            await store.commit(step(lease, put={"y": b"1"}))
            assert await store.checkout(lease, Revision(0), b"", 1.0) == 2
            assert await store.entries(SID) == {}
