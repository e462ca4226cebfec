"""One fixture, every backend."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from backends import Backend, fake_client, redis_backend, sqlite_backend
from redis.asyncio import Redis

BACKENDS = ["sqlite-file", "sqlite-memory", "redis", "fakeredis"]


@pytest.fixture(params=BACKENDS)
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    async with AsyncExitStack() as stack:
        if request.param == "sqlite-file":
            chosen = sqlite_backend(tmp_path / "state" / "store.db")
        elif request.param == "sqlite-memory":
            chosen = sqlite_backend(None)
        elif request.param == "redis":
            server = request.getfixturevalue("redis_server")
            chosen = redis_backend(Redis.from_url(server.unix_url, protocol=2))
        else:
            chosen = redis_backend(fake_client())
        yield await stack.enter_async_context(chosen)
