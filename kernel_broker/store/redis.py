"""The way to Redis: the one file that imports redis-py. Connections, scripts, and what failures mean."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any, Final

from redis import exceptions as failures
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel
from redis.backoff import ExponentialBackoff, NoBackoff

from kernel_broker.store.contract import StoreUnavailable
from kernel_broker.store.redis_url import parse_sentinel, without_secrets

log = logging.getLogger(__name__)

Command = tuple[str | bytes | memoryview | float, ...]

_CONNECTIONS: Final = 32
_OPTIONS: Final[dict[str, Any]] = {
    "protocol": 2,
    "socket_connect_timeout": 3.0,
    "socket_timeout": 10.0,
    "socket_read_size": 2**20,  # chunks are read a quarter faster than with the usual 64 KiB
}
_RETRIES: Final = 2
_SCRIPT: Final = ("session.lua", "revisions.lua")


class RedisLink:
    """Bounded, retried, translated talk with one Redis. Only for what may be repeated: see `session.lua`."""

    def __init__(self, client: Redis, where: str, sentinels: Collection[Redis] = ()) -> None:
        self._client = client
        self._where = where
        self._sentinels = sentinels
        scripts = files("kernel_broker.store")
        self._source = "".join(scripts.joinpath(name).read_text("utf-8") for name in _SCRIPT)
        self._script = client.register_script(self._source)
        self._slots = asyncio.Semaphore(_CONNECTIONS)
        self._is_open = False

    @classmethod
    def from_url(cls, url: str) -> "RedisLink":
        """Raises ValueError for a URL that makes no sense."""
        retry = Retry(ExponentialBackoff(cap=0.5, base=0.05), _RETRIES)
        if url.lower().startswith("redis+sentinel:"):
            place = parse_sentinel(url)
            # No retries of one Sentinel: there are others, and the whole search is retried.
            asked_of_them = _OPTIONS | place.sentinel_credentials | {"retry": Retry(NoBackoff(), 0)}
            sentinel = Sentinel(place.nodes, sentinel_kwargs=asked_of_them)  # type: ignore[no-untyped-call]
            options = _OPTIONS | place.credentials
            client = sentinel.master_for(place.service, db=place.db, retry=retry, **options)
            return cls(client, without_secrets(url), sentinel.sentinels)
        try:
            client = Redis.from_url(url, retry=retry, **_OPTIONS)
            # No I/O yet: it finds options that do not exist.
            client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        except (ValueError, TypeError):
            # The cause is not chained: it may quote a piece of the URL, and so of the password.
            raise ValueError(
                "KERNEL_BROKER_STORE_URL is not a Redis URL: write redis://user:password@host:port/db with"
                " special characters of the password percent-encoded, and only options that redis-py knows"
            ) from None
        return cls(client, without_secrets(url))

    async def open(self) -> None:
        """Let calls through; the first one connects."""
        self._is_open = True

    async def close(self) -> None:
        """Let go of every connection. Idempotent."""
        self._is_open = False
        for client in (self._client, *self._sentinels):
            await client.aclose()

    async def call(self, key: str, *args: str | bytes | float) -> Any:
        """Run `session.lua` on the session at `key`."""
        async with self._talking():
            return await self._script(keys=[key], args=args)

    def script(self, key: str, *args: str | bytes | float) -> Command:
        """The same as a command for `send`."""
        return ("EVALSHA", self._script.sha, 1, key, *args)

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """Run `commands` in one round trip (again from the start if Redis has forgotten the script)."""
        async with self._talking() as client:
            answers = await _executed(client, commands)
            if any(isinstance(answer, failures.NoScriptError) for answer in answers):
                await client.script_load(self._source)
                answers = await _executed(client, commands)
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return answers

    async def warn_of_eviction(self) -> None:
        """Say so in the log if Redis may throw sessions away when its memory is full."""
        try:
            policy = (await self._client.config_get("maxmemory-policy")).get("maxmemory-policy")
        except failures.ResponseError:  # not allowed to ask, as is usual at cloud providers
            return
        if policy not in {None, "noeviction"}:
            log.warning(
                "%s has maxmemory-policy %s: set noeviction, or sessions may be lost", self._where, policy
            )

    @asynccontextmanager
    async def _talking(self) -> AsyncIterator[Redis]:
        if not self._is_open:
            raise StoreUnavailable("the store is closed: the broker is stopping or has not started")
        async with self._slots:
            try:
                yield self._client
            except (failures.RedisError, OSError, TimeoutError) as error:
                raise StoreUnavailable(f"{self._where}: {_meaning(error)}", retry_after=2.0) from error


async def _executed(client: Redis, commands: Sequence[Command]) -> list[Any]:
    async with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        return await pipe.execute(raise_on_error=False)


# The first that fits is meant: subclasses stand before their bases.
_BY_TYPE: Final[tuple[tuple[type[Exception], str], ...]] = (
    (
        failures.AuthenticationError,
        "Redis refuses the user or password. Check those of KERNEL_BROKER_STORE_URL",
    ),
    (failures.AuthorizationError, "Redis does not let this user in. Check its ACL"),
    (failures.NoPermissionError, "this Redis user may not run the commands needed. Check its ACL"),
    (failures.BusyLoadingError, "Redis is loading its data after a start. Try again shortly"),
    (failures.MaxConnectionsError, "too many connections to Redis are open. Try again shortly"),
    (MasterNotFoundError, "no Sentinel answers, or none knows this master. Check hosts and service name"),
    (failures.ReadOnlyError, "this Redis is a read-only replica. Name the primary, or use redis+sentinel://"),
    (
        failures.OutOfMemoryError,
        "Redis' memory is full. Raise its maxmemory or delete sessions; nothing changed",
    ),
    (failures.TimeoutError, "Redis did not answer in time. Check its load and the network"),
    (TimeoutError, "Redis did not answer in time. Check its load and the network"),
    (failures.ConnectionError, "Redis cannot be reached. Check that it runs and that the URL is right"),
    (OSError, "Redis cannot be reached. Check that it runs and that the URL is right"),
)
_BY_FIRST_WORD: Final = {
    "MISCONF": "Redis cannot save to disk and so refuses writes. Check its disk and its log",
    "NOREPLICAS": "too few replicas are connected to Redis, so it refuses writes. Check them",
    "MASTERDOWN": "this Redis replica has lost its primary. Try again shortly",
    "BUSY": "Redis is busy with a long script of someone else. Try again shortly",
    "MOVED": "this is a node of a Redis Cluster, which is not supported. Use a plain Redis or Sentinel",
    "CLUSTERDOWN": "this is a node of a Redis Cluster, which is not supported. Use a plain Redis or Sentinel",
}


def _meaning(error: Exception) -> str:
    """What happened and what to do. Redis' own words are left out: they may quote what was sent."""
    by_type = (text for kind, text in _BY_TYPE if isinstance(error, kind))
    first_word = str(error).partition(" ")[0]
    return _BY_FIRST_WORD.get(first_word) or next(
        by_type, f"Redis answered with an error ({type(error).__name__}). Check its log"
    )
