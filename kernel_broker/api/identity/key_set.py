"""An issuer's public keys (a JWKS), from a file or a URL."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from kernel_broker.api.identity.fetch import Fetcher, FetchFailed
from kernel_broker.api.identity.watched_file import WatchedFile
from kernel_broker.errors import Unavailable
from kernel_broker.wire.identity import is_loopback

log = logging.getLogger(__name__)

Jwk = Mapping[str, Any]

_PUBLIC_KINDS: Final = ("RSA", "EC", "OKP")
_FRESH: Final = 300.0
"""Seconds after which keys are fetched again: a withdrawn one is accepted so long."""
_PAUSE: Final = 5.0
"""Seconds between two fetches at least, whoever asks for how many unknown keys."""
_PAUSE_WITH_KEYS: Final = 30.0
"""The same after a failed fetch, while older keys are at hand: a failure may cost a request seconds."""
_OLDEST: Final = 86_400.0
"""Seconds that keys are used while the issuer does not answer."""


class KeySet(Protocol):
    """Keys by id."""

    async def find(self, key_id: str | None) -> Jwk | None:
        """The key; without an id, the only one there is. Raises `Unavailable`."""

    async def close(self) -> None:
        """Let go of connections."""


class KeyFile:
    """Keys in a file, read again when it changes."""

    def __init__(self, path: Path) -> None:
        """Read the file; raises ValueError with what is wrong with it."""
        self._file = WatchedFile(path, lambda text: read_keys(json.loads(text)))

    async def find(self, key_id: str | None) -> Jwk | None:
        """The key, if the file has it."""
        return _choose(self._file.content(), key_id)

    async def close(self) -> None:
        """Nothing is held."""


class KeyUrl:
    """Keys at a URL: fetched at the first use, again when they are old, and when an unknown one is named."""

    def __init__(self, url: str, fetcher: Fetcher, clock: Callable[[], float]) -> None:
        self._url = url
        self._fetcher = fetcher
        self._clock = clock
        self._keys: list[Jwk] | None = None
        self._fetched_at = self._next_fetch = clock()
        self._fetching = asyncio.Lock()
        self._failure = ""

    async def find(self, key_id: str | None) -> Jwk | None:
        """The key, as the issuer told it within `_FRESH` seconds, or last told while it does not answer."""
        age = self._clock() - self._fetched_at
        if self._keys is None or age > _OLDEST or (age > _FRESH and not self._fetching.locked()):
            await self._fetch()
        found = _choose(self._known(), key_id)
        if found is None:
            await self._fetch()
            found = _choose(self._known(), key_id)
            if found is None and self._failure:  # the key may be one that the issuer has made since
                raise self._unavailable()
        return found

    async def close(self) -> None:
        """Close the connections."""
        await self._fetcher.close()

    def _known(self) -> list[Jwk]:
        if self._keys is None or self._clock() - self._fetched_at > _OLDEST:
            raise self._unavailable()
        return self._keys

    def _unavailable(self) -> Unavailable:
        told = f"the keys of the tokens' issuer cannot be had ({self._failure}); try again"
        return Unavailable(told, code="identity_unavailable", retry_after=_PAUSE)

    async def _fetch(self) -> None:
        """Fetch the keys, unless that was tried a moment ago."""
        async with self._fetching:
            if self._clock() < self._next_fetch:
                return
            try:
                self._keys = read_keys((await self._fetcher.get(self._url)).document)
                self._fetched_at = self._clock()
                self._failure = ""
            except (FetchFailed, ValueError) as error:
                self._failure = str(error)
                log.warning("the keys at %s cannot be had: %s", self._url, error)
            pause = _PAUSE_WITH_KEYS if self._failure and self._keys is not None else _PAUSE
            self._next_fetch = self._clock() + pause


def open_key_set(where: str, clock: Callable[[], float]) -> KeySet:
    """The keys at a path or URL; raises ValueError. In clear text from elsewhere anybody could forge them."""
    url = urlsplit(where)
    if url.scheme == "https" or (url.scheme == "http" and is_loopback(url.hostname or "")):
        return KeyUrl(where, Fetcher(), clock)
    if url.scheme:
        raise ValueError("must be a file or an https URL")
    return KeyFile(Path(where))


def read_keys(document: Any) -> list[Jwk]:
    """The public signing keys of a JWKS; raises ValueError if it is none or has none."""
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise ValueError("it is no JSON object with a list 'keys'")  # noqa: TRY004  (a document, not a call)
    found: list[Jwk] = [
        key
        for key in keys
        if isinstance(key, dict) and key.get("kty") in _PUBLIC_KINDS and key.get("use", "sig") == "sig"
    ]
    if not found:
        raise ValueError("it has no public key to verify signatures with")
    return found


def _choose(keys: list[Jwk], key_id: str | None) -> Jwk | None:
    if key_id is None:
        return keys[0] if len(keys) == 1 else None
    return next((key for key in keys if key.get("kid") == key_id), None)
