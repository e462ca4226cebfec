"""HTTP to those who know who is who: the issuer's keys, the Hub. The only file of the broker with httpx."""

import asyncio
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

_SECONDS: Final = 5.0
_LARGEST: Final = 2**20
_AT_ONCE: Final = 16


class FetchFailed(Exception):
    """No answer that can be used; says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and the JSON that came with it (None if it was none)."""

    status: int
    document: Any


class Fetcher:
    """Gets small JSON documents. Redirects are not followed: they would carry tokens to somewhere else."""

    def __init__(self) -> None:
        limits = httpx.Limits(max_connections=_AT_ONCE, max_keepalive_connections=4)
        self._http = httpx.AsyncClient(timeout=_SECONDS, limits=limits, trust_env=False)

    async def get(
        self, url: str, headers: Mapping[str, str] | None = None, expected: Collection[int] = (200,)
    ) -> Answer:
        """The answer, if its status is one of the expected; raises `FetchFailed`."""
        try:
            async with (
                asyncio.timeout(2 * _SECONDS),
                self._http.stream("GET", url, headers=dict(headers or {})) as response,
            ):
                body = bytearray()
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > _LARGEST:
                        raise FetchFailed(f"the answer has more than {_LARGEST} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise FetchFailed(str(error) or type(error).__name__) from error
        if response.status_code not in expected:
            raise FetchFailed(f"HTTP {response.status_code}")
        try:
            return Answer(response.status_code, json.loads(body))
        except ValueError:
            return Answer(response.status_code, None)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
