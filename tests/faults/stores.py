"""The two stores of the campaign, and what must hold of what is in them when all is over."""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from kernel_broker.store.open import open_store
from kernel_broker.wire.ids import SessionId
from tests.fixtures.redis_server import RedisServer


class Backend(Protocol):
    """A store that is really there."""

    url: str
    pods: int
    """Brokers that share it."""

    def orphans(self) -> list[str]:
        """Chunks that no revision refers to, and references to chunks that are not there."""

    def close(self) -> None:
        """Remove it."""


class Sqlite:
    """A file, which one broker may have at a time."""

    pods = 1

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="kills-")
        self._path = Path(self._home.name) / "store.db"
        self.url = f"sqlite://{self._path}"

    def orphans(self) -> list[str]:
        with sqlite3.connect(self._path) as db:
            loose = "SELECT chunk_id FROM chunks WHERE number NOT IN (SELECT number FROM refs)"
            gone = "SELECT 'missing ' || number FROM refs WHERE number NOT IN (SELECT number FROM chunk_data)"
            return [row[0] for query in (loose, gone) for row in db.execute(query)]

    def close(self) -> None:
        self._home.cleanup()


class Redis:
    """A server, which two brokers share."""

    pods = 2

    def __init__(self) -> None:
        self._server = RedisServer("--appendonly", "no")
        self._server.start()
        self.url = self._server.url

    def orphans(self) -> list[str]:
        with self._server.client() as client:
            chunks = set(client.scan_iter("*:chunk:*", count=1000))
            known: set[bytes] = set()
            for kind in ("refs", "held"):
                for key in client.scan_iter(f"*:{kind}", count=1000):
                    family = key.rpartition(b":")[0]
                    known |= {family + b":chunk:" + name for name in client.hkeys(key)}
            loose = [key.decode() for key in chunks - known]
            return loose + [f"missing {key.decode()}" for key in known - chunks]

    def close(self) -> None:
        self._server.destroy()


BACKENDS = {"sqlite": Sqlite, "redis": Redis}


async def collect(backend: Backend, grace: float) -> int:
    """Collect garbage as a pod would."""
    store = open_store(backend.url)
    await store.open()
    try:
        return await store.collect(time.time(), grace)
    finally:
        await store.close()


async def held_leases(backend: Backend, sessions: Collection[str]) -> list[str]:
    """Sessions that somebody still holds."""
    store, held = open_store(backend.url), []
    await store.open()
    try:
        for session in sessions:
            try:
                await store.release(await store.acquire(SessionId(session), "auditor", 1))
            except Exception as error:
                held.append(f"{session}: {error}")
    finally:
        await store.close()
    return held


async def settled(backend: Backend) -> list[str]:
    """What is wrong in a store that nobody uses any more."""
    await collect(backend, 0)
    return await asyncio.to_thread(backend.orphans)
