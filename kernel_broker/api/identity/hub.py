"""JupyterHub: the Hub says whose a token is, and its users own sessions under their Hub names."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from kernel_broker.api.identity.contract import named
from kernel_broker.api.identity.fetch import Fetcher, FetchFailed
from kernel_broker.errors import BrokerError, Unavailable
from kernel_broker.sessions.ownership import Caller
from kernel_broker.wire.identity import digest

log = logging.getLogger(__name__)

_KEPT: Final = 10_000
"""Answers kept, of either kind; tokens that are nobody's have room of their own and crowd out nobody's."""
_ANSWERS: Final = (200, 401, 403)
"""A user; or nobody's token."""
_ADMIN_SCOPE: Final = "admin:users"
"""A token of an admin's that lacks it, as that of a notebook server does, makes no admin here either."""
_RETRY_AFTER: Final = 2.0


class _Answers:
    """What the Hub said of tokens (known by their hashes), for `ttl` seconds; the oldest go first."""

    def __init__(self, ttl: float, clock: Callable[[], float]) -> None:
        self._ttl = ttl
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, Caller | None]] = OrderedDict()

    def find(self, key: str) -> tuple[Caller | None] | None:
        """The answer, in a tuple as it may be None; or None if there is none any more."""
        kept = self._kept.get(key)
        if kept is None or kept[0] <= self._clock():
            return None
        return (kept[1],)

    def keep(self, key: str, caller: Caller | None) -> None:
        """Remember an answer."""
        self._kept.pop(key, None)
        self._kept[key] = (self._clock() + self._ttl, caller)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)


class Hub:
    """Asks the Hub at `url`, its REST API, once in `ttl` seconds for each token."""

    def __init__(self, url: str, ttl: float, fetcher: Fetcher, clock: Callable[[], float]) -> None:
        self._url = f"{url.rstrip('/')}/user"
        self._fetcher = fetcher
        self._somebodys = _Answers(ttl, clock)
        self._nobodys = _Answers(ttl, clock)
        self._asking: dict[str, asyncio.Future[Caller | None]] = {}

    async def identify(self, token: str) -> Caller | None:
        """The Hub's user, or service (as `service/NAME`: no user's name has a slash)."""
        if not token.isascii():
            return None  # the Hub makes no such tokens, and no header could carry it
        key = digest(token)
        known = self._somebodys.find(key) or self._nobodys.find(key)
        if known is not None:
            return known[0]
        if key in self._asking:  # requests that come at once with one token ask once
            return await asyncio.shield(self._asking[key])
        asking = self._asking[key] = asyncio.get_running_loop().create_future()
        asking.add_done_callback(_seen)
        try:
            caller = await self._ask(key, token)
        except BaseException as error:
            asking.set_exception(error if isinstance(error, BrokerError) else _unavailable())
            raise
        else:
            asking.set_result(caller)
            return caller
        finally:
            del self._asking[key]

    async def close(self) -> None:
        """Close the connections."""
        await self._fetcher.close()

    async def _ask(self, key: str, token: str) -> Caller | None:
        try:
            answer = await self._fetcher.get(self._url, {"Authorization": f"Bearer {token}"}, _ANSWERS)
        except FetchFailed as error:
            log.warning("JupyterHub cannot be asked at %s: %s", self._url, error)
            raise _unavailable() from error
        if answer.status != 200:
            self._nobodys.keep(key, None)
            return None
        caller = _to_caller(answer.document)
        self._somebodys.keep(key, caller)
        return caller


def _unavailable() -> Unavailable:
    told = "JupyterHub, which knows whose a token is, does not answer; try again"
    return Unavailable(told, code="identity_unavailable", retry_after=_RETRY_AFTER)


def _seen(asking: asyncio.Future[Caller | None]) -> None:
    """A failure that nobody else waited for is not an unseen one: who asked has it."""
    if not asking.cancelled():
        asking.exception()


def _to_caller(model: Any) -> Caller:
    if not isinstance(model, dict):
        log.warning("JupyterHub answers with what is no user")
        raise _unavailable()
    name = model.get("name")
    if model.get("kind") == "service" and isinstance(name, str):
        name = f"service/{name}"
    scopes = model.get("scopes", [_ADMIN_SCOPE])  # Hubs before 2.0 have none
    may_be = isinstance(scopes, list) and _ADMIN_SCOPE in scopes
    return named(name, may_be and model.get("admin") is True)
