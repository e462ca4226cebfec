"""One fixture, every backend."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from backends import Backend, fake_client, redis_backend, sealed_backend, sqlite_backend
from redis.asyncio import Redis

from kernel_broker.store.contract import HEAD_ALONE, History

BACKENDS = ["sqlite-file", "sqlite-memory", "redis", "fakeredis", "sealed-sqlite", "sealed-redis"]


@pytest.fixture
def history() -> History:
    """How much past the store keeps; a test of it has its own."""
    return HEAD_ALONE


@pytest.fixture(params=BACKENDS)
async def backend(request: pytest.FixtureRequest, tmp_path: Path, history: History) -> AsyncIterator[Backend]:
    async with AsyncExitStack() as stack:
        which = request.param.removeprefix("sealed-")
        if which == "sqlite-file":
            chosen = sqlite_backend(tmp_path / "state" / "store.db", history)
        elif which.startswith("sqlite"):
            chosen = sqlite_backend(None, history)
        elif which == "redis":
            server = request.getfixturevalue("redis_server")
            chosen = redis_backend(Redis.from_url(server.unix_url, protocol=2), history)
        else:
            chosen = redis_backend(fake_client(), history)
        if which != request.param:
            chosen = sealed_backend(chosen)
        yield await stack.enter_async_context(chosen)
