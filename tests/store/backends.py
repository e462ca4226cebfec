"""The stores under test, each with a clock that a test can set forward."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import fakeredis
from redis.asyncio import Redis

from kernel_broker.store.contract import HEAD_ALONE, History, Store
from kernel_broker.store.keyring import Keyring
from kernel_broker.store.redis import RedisLink
from kernel_broker.store.redis_store import RedisStore
from kernel_broker.store.sealed import SealedStore
from kernel_broker.store.seals import OVERHEAD
from kernel_broker.store.sqlite import SqliteStore


@dataclass
class Backend:
    """A store, and how to let time pass for it."""

    store: Store
    age: Callable[[float], Awaitable[None]]
    clock: Callable[[], float]
    extra: int = 0
    """Bytes that each stored entry and chunk is longer than what is in it."""


@asynccontextmanager
async def sealed_backend(inner: AbstractAsyncContextManager[Backend]) -> AsyncIterator[Backend]:
    """The same store, sealed."""
    async with inner as backend:
        keyring = Keyring({"new": bytes(range(32)), "old": bytes(32)})
        yield replace(backend, store=SealedStore(backend.store, keyring), extra=OVERHEAD)


@asynccontextmanager
async def sqlite_backend(path: Path | None, history: History = HEAD_ALONE) -> AsyncIterator[Backend]:
    passed = 0.0

    def clock() -> float:
        return time.time() + passed

    async def age(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    store = SqliteStore(path, clock, history)
    await store.open()
    try:
        yield Backend(store, age, clock)
    finally:
        await store.close()


@asynccontextmanager
async def redis_backend(client: Redis, history: History = HEAD_ALONE) -> AsyncIterator[Backend]:
    async def age(seconds: float) -> None:
        await age_redis(client, int(seconds * 1000))

    store = RedisStore(RedisLink(client, "redis under test"), history)
    await store.open()
    try:
        yield Backend(store, age, time.time)
    finally:
        await store.close()


async def age_redis(client: Redis, ms: int) -> None:
    """Let `ms` milliseconds pass for all that is in Redis: its expiry, its leases, its garbage."""
    for key in await client.keys("*"):
        kind = await client.type(key)
        if kind == b"hash" and await client.hexists(key, "lease_until"):
            await client.hincrby(key, "lease_until", -ms)
            await client.hincrby(key, "covered", -ms)
        if kind == b"zset":
            for member, since in await client.zrange(key, 0, -1, withscores=True):
                await client.zadd(key, {member: since - ms})
        left = await client.pttl(key)
        if left >= 0:
            await client.pexpire(key, left - ms)


def fake_client() -> Redis:
    return fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer())
