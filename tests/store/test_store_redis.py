"""What is particular to the shared store: slots, expiry, a Redis that is away, full or forgetful."""

import asyncio
import logging
import signal
import socket
import subprocess
import threading
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot

from kernel_broker.store.contract import Commit, Lease, RunRecord, SessionRecord, Store, StoreUnavailable
from kernel_broker.store.open import open_store
from kernel_broker.store.redis import RedisLink
from kernel_broker.store.redis_store import RedisStore
from kernel_broker.wire.ids import ChunkId, Revision, RunId, SessionId

SID = SessionId("s-1.a:b_C")
A, B, C = ChunkId("aa"), ChunkId("bb"), ChunkId("cc")


def record(session_id: SessionId = SID, owner: str = "ada") -> SessionRecord:
    return SessionRecord(session_id, owner, Revision(0), 1.0, 1.0, 3600.0, b"doc")


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    store = open_store(url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def worked_in(store: Store) -> Lease:
    """A session that has a key of every kind."""
    await store.create(record())
    lease = await store.acquire(SID, "pod", 30)
    await store.begin_run(lease, RunId("r"), 2.0, 30)
    await store.put_chunks(SID, {A: b"a", B: b"b", C: b"orphan"})
    await store.commit(Commit(lease, Revision(0), 2.0, b"", {"x": b"1"}, add=[A, B]))
    run = RunRecord(RunId("r"), True, Revision(2))
    await store.commit(Commit(lease, Revision(1), 3.0, b"", {"y": b"2"}, drop=[B], run=run))
    return lease


def keys_of_session(client) -> list[bytes]:
    return [key for key in client.keys("*") if SID.encode() in key]


async def test_all_keys_of_a_session_share_a_slot_and_expire(redis_server):
    with redis_server.client() as client:
        async with opened(redis_server.url) as store:
            await worked_in(store)
            keys = keys_of_session(client)
            kinds = {key.rpartition(b"}")[2] for key in keys}
            chunks = {b":chunk:aa", b":chunk:bb", b":chunk:cc"}
            assert kinds == chunks | {
                b"",
                b":entries",
                b":refs",
                b":garbage",
                b":history",
                b":runs",
                b":order",
            }
            assert len({key_slot(key) for key in keys}) == 1
            assert all(3500 < client.ttl(key) <= 3600 * 9 / 8 for key in keys)


async def test_every_use_starts_every_key_anew(redis_server):
    with redis_server.client() as client:
        async with opened(redis_server.url) as store:
            lease = await worked_in(store)
            for use in (
                lambda: store.touch(SID, 5.0),
                lambda: store.renew(lease, 30),
                lambda: store.begin_run(lease, RunId("r2"), 5.0, 30),
                lambda: store.put_chunks(SID, {C: b"orphan"}),
                lambda: store.commit(Commit(lease, Revision(2), 5.0, b"")),
                lambda: store.acquire(SID, "pod", 30),
            ):
                for key in keys_of_session(client):
                    client.expire(key, 100)
                client.hset(f"serverless-ipykernel:{{{SID}}}", "covered", 0)
                await use()
                loose = {b":chunk:bb", b":chunk:cc"}  # these live for their grace, not for the session's ttl
                kept = [key for key in keys_of_session(client) if key.rpartition(b"}")[2] not in loose]
                assert [key for key in kept if client.ttl(key) < 3500] == []


async def test_a_short_lived_session_leaves_nothing_behind_by_itself(redis_server):
    with redis_server.client() as client, client.pubsub() as expiries:
        client.config_set("notify-keyspace-events", "Ex")
        expiries.psubscribe("__keyevent@0__:expired")
        async with opened(redis_server.url) as store:
            short = SessionRecord(SID, "ada", Revision(0), 1.0, 1.0, 0.2, b"doc")
            await store.create(short)
            lease = await store.acquire(SID, "pod", 0.1)
            await store.put_chunks(SID, {A: b"a", B: b"orphan"})
            await store.commit(Commit(lease, Revision(0), 2.0, b"", {"x": b"1"}, add=[A]))
            waiting = set(keys_of_session(client))
            assert len(waiting) == 7
            while waiting:
                message = await asyncio.to_thread(expiries.get_message, timeout=30)
                assert message is not None
                waiting.discard(message["data"])
            assert await store.list("ada") == []
            await store.collect(2.0, 60)
            assert client.keys("*:owner:*") == client.keys("*:sessions") == []


async def test_a_begun_run_is_told_from_a_repeated_call_after_a_lost_answer(redis_server):
    async with opened(redis_server.url) as store:
        lease = await worked_in(store)
        call = (f"serverless-ipykernel:{{{SID}}}", "begin_run", lease.holder, lease.epoch, "r9", 5.0, 30_000)
        assert await store._link.call(*call, "nonce") == [b"ok"]
        assert await store._link.call(*call, "nonce") == [b"ok"]
        assert (await store._link.call(*call, "other"))[0] == b"known"


async def test_the_index_repairs_itself(redis_server):
    with redis_server.client() as client:
        async with opened(redis_server.url) as store:
            await worked_in(store)
            await store.create(record(SessionId("t")))
            client.delete(*keys_of_session(client))  # as if it had expired
            client.sadd("serverless-ipykernel:owner:bob", "t", "never-was")
            assert [r.session_id for r in await store.list("ada")] == ["t"]
            assert await store.list("bob") == []
            assert [r.session_id for r in await store.list()] == ["t"]
            assert client.smembers("serverless-ipykernel:owner:ada") == {b"t"}
            assert client.keys("*:owner:bob") == []
            assert client.hgetall("serverless-ipykernel:sessions") == {b"t": b"ada"}


async def test_collect_takes_the_expired_off_the_index(redis_server):
    with redis_server.client() as client:
        async with opened(redis_server.url) as store:
            await worked_in(store)
            client.delete(*keys_of_session(client))  # as if it had expired
            assert await store.collect(2.0, 60) == 1
            assert client.keys("*:owner:*") == client.keys("*:sessions") == []


async def test_a_session_whose_maker_died_before_the_index_is_listed_once_made_again(redis_server):
    with redis_server.client() as client:
        async with opened(redis_server.url) as store:
            await store.create(record())
            client.delete("serverless-ipykernel:sessions", "serverless-ipykernel:owner:ada")
            assert await store.create(record(owner="eve")) is False
            assert [r.owner for r in await store.list("ada")] == ["ada"]
            assert await store.list("eve") == []


async def test_a_redis_that_went_away_is_reported_and_used_again_without_reopening(make_redis_server):
    server = make_redis_server("--appendfsync", "always")
    async with opened(server.url) as store:
        lease = await worked_in(store)
        server.stop(signal.SIGKILL)
        with pytest.raises(StoreUnavailable, match=r"cannot be reached\. Check") as refusal:
            await store.commit(Commit(lease, Revision(2), 5.0, b""))
        assert refusal.value.problem.status == 503
        assert refusal.value.problem.retry_after
        for use in (store.ping(), store.list(), store.entries(SID), store.put_chunks(SID, {A: b"a"})):
            with pytest.raises(StoreUnavailable):
                await use
        server.start()
        await store.ping()
        assert await store.entries(SID) == {"x": b"1", "y": b"2"}
        assert await store.commit(Commit(lease, Revision(2), 5.0, b"")) == 3


async def test_a_redis_that_hangs_is_not_waited_for_forever(make_redis_server):
    server = make_redis_server()
    async with opened(server.url + "?socket_timeout=0.2") as store:
        server._process.send_signal(signal.SIGSTOP)
        with pytest.raises(StoreUnavailable, match="did not answer in time"):
            await store.get(SID)
        server._process.send_signal(signal.SIGCONT)
        assert await store.get(SID) is None


async def test_a_redis_that_was_never_there():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    store = open_store(f"redis://:sesame@127.0.0.1:{port}")
    with pytest.raises(StoreUnavailable, match=rf"redis://127.0.0.1:{port}: Redis cannot be reached"):
        await store.open()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.ping()


async def test_a_full_redis_changes_nothing_and_later_works_again(make_redis_server):
    server = make_redis_server()
    with server.client() as client:
        async with opened(server.url) as store:
            lease = await worked_in(store)
            before = await store.get(SID)
            step = Commit(lease, Revision(2), 5.0, b"no", {"x": b"new", "z": b"z"}, ["y"], drop=[A])
            client.config_set("maxmemory", "1")
            for use in (store.commit(step), store.put_chunks(SID, {ChunkId("dd"): b"d"}), store.ping()):
                with pytest.raises(StoreUnavailable, match="memory is full"):
                    await use
            assert await store.get(SID) == before
            assert await store.entries(SID) == {"x": b"1", "y": b"2"}
            client.config_set("maxmemory", "0")
            assert await store.commit(step) == 3
            assert await store.missing(SID, [ChunkId("dd")]) == {ChunkId("dd")}


async def test_a_replica_and_a_disk_that_fails_are_named(make_redis_server):
    server = make_redis_server()
    with server.client() as client:
        async with opened(server.url) as store:
            client.replicaof("127.0.0.1", 1)
            with pytest.raises(StoreUnavailable, match=r"read-only replica.*redis\+sentinel"):
                await store.create(record())
            client.replicaof("NO", "ONE")
            client.config_set("min-replicas-to-write", 3)
            with pytest.raises(StoreUnavailable, match="too few replicas"):
                await store.ping()


async def test_a_redis_that_forgot_the_script_is_told_again(redis_server):
    with redis_server.client() as client:
        async with opened(redis_server.url) as store:
            await store.create(record())
            client.script_flush()
            await store.put_chunks(SID, {A: b"a"})
            client.script_flush()
            assert await store.collect(2.0, 60) == 0
            client.script_flush()
            await store.acquire(SID, "pod", 30)
            assert await store.get_chunks(SID, [A]) == {A: b"a"}


async def test_state_that_redis_evicted_is_not_taken_for_an_empty_one(redis_server):
    with redis_server.client() as client:
        async with opened(redis_server.url) as store:
            lease = await worked_in(store)
            client.delete(f"serverless-ipykernel:{{{SID}}}:entries")
            with pytest.raises(StoreUnavailable, match=r"evicted.*noeviction"):
                await store.entries(SID)
            await store.reset(lease, b"", 5.0)
            assert await store.entries(SID) == {}


async def test_a_redis_that_may_evict_is_warned_of(make_redis_server, caplog):
    server = make_redis_server("--maxmemory-policy", "allkeys-lru")
    with caplog.at_level(logging.WARNING):
        async with opened(server.url):
            pass
    assert "set noeviction" in caplog.text


async def test_credentials_are_in_no_message(make_redis_server, caplog):
    server = make_redis_server("--requirepass", "open sesame")
    good = f"redis://:open%20sesame@127.0.0.1:{server.port}/0"
    async with opened(good) as store:
        await store.ping()
    bad = open_store(good.replace("open%20sesame", "wrong-word"))
    with caplog.at_level(logging.DEBUG), pytest.raises(StoreUnavailable, match="user or password") as refusal:
        await bad.open()
    said = "".join(traceback.format_exception(refusal.value)) + caplog.text + repr(refusal.value.problem)
    assert "sesame" not in said
    assert "wrong-word" not in said


async def test_the_master_is_found_through_sentinel(make_redis_server, tmp_path: Path):
    server = make_redis_server("--requirepass", "word")
    config = tmp_path / "sentinel.conf"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n"
        f"sentinel monitor kernels 127.0.0.1 {server.port} 1\nsentinel auth-pass kernels word\n"
    )
    command = ["redis-server", str(config), "--sentinel"]
    sentinel = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert any("+monitor master kernels" in line for line in sentinel.stdout)
        before = held()
        async with opened(f"redis+sentinel://:word@127.0.0.1:1,127.0.0.1:{port}/kernels?db=2") as store:
            lease = await worked_in(store)
        assert lease.holder == "pod"
        assert held() == before
        async with opened(f"redis://:word@127.0.0.1:{server.port}/2") as store:
            assert await store.entries(SID) == {"x": b"1", "y": b"2"}
        with pytest.raises(StoreUnavailable, match="Sentinel"):
            await open_store(f"redis+sentinel://127.0.0.1:{port}/unknown").open()
    finally:
        sentinel.kill()
        sentinel.communicate()


def held() -> tuple[int, int]:
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


async def test_opening_and_closing_leaves_no_descriptor_and_no_thread(redis_server):
    store = open_store(redis_server.url)
    before = held()
    for _ in range(3):
        await store.open()
        await asyncio.gather(*(store.get(SessionId(f"s{number}")) for number in range(50)))
        await store.close()
        await store.close()
    assert held() == before


async def test_many_callers_share_a_bounded_number_of_connections(redis_server):
    with redis_server.client() as client:
        async with opened(redis_server.url) as store:
            await asyncio.gather(*(store.get(SessionId(f"s{number}")) for number in range(300)))
            assert len(client.client_list()) <= 32 + 1


async def test_a_cut_call_does_not_mix_up_the_answers(redis_server):
    async with opened(redis_server.url) as store:
        await store.create(record())
        for _ in range(20):
            calls = [asyncio.ensure_future(store.get(SID)) for _ in range(10)]
            await asyncio.sleep(0)
            for call in calls[::2]:
                call.cancel()
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert all(outcome == record() for outcome in outcomes[1::2])


async def test_two_pods_see_one_truth(redis_server):
    one = RedisStore(RedisLink(Redis.from_url(redis_server.url, protocol=2), "one"))
    await one.open()
    async with opened(redis_server.unix_url) as other:
        lease = await worked_in(one)
        assert await other.entries(SID) == {"x": b"1", "y": b"2"}
        await one.release(lease)
        taken = await other.acquire(SID, "other", 30)
        assert await other.commit(Commit(taken, Revision(2), 5.0, b"")) == 3
    await one.close()
