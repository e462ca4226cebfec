"""From a URL to a store."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from kernel_broker.store.contract import HEAD_ALONE, History, Store

_FORMS = (
    "sqlite:///absolute/path, sqlite://:memory:, redis://host:port/db, rediss://host:port/db, "
    "unix:///path/to/socket?db=0, redis+sentinel://host:port,host:port/service?db=0"
)


def open_store(url: str, history: History = HEAD_ALONE) -> Store:
    """The store behind `url`, made but not yet connected: `await store.open()` does that.

    Raises ValueError, without repeating any part of the URL that may be secret, if the URL makes no sense.
    """
    scheme = url.partition(":")[0].lower()
    if scheme == "sqlite":
        return _sqlite(url, history)
    if scheme in {"redis", "rediss", "unix", "redis+sentinel"}:
        # Imported here: some 30 MiB that the embedded store does without.
        from kernel_broker.store.redis import RedisLink
        from kernel_broker.store.redis_store import RedisStore

        return RedisStore(RedisLink.from_url(url), history)
    raise ValueError(f"unknown store {scheme!r}: KERNEL_BROKER_STORE_URL is one of {_FORMS}")


def sealed(store: Store, keys: str) -> Store:
    """The same store with what is in it encrypted, if `keys` names any; see `keyring.read_keys`.

    Raises ValueError, which repeats no key.
    """
    if not keys.strip():
        return store
    # Imported here: some 10 MiB that a store in plain text does without.
    from kernel_broker.store.keyring import read_keys
    from kernel_broker.store.sealed import SealedStore

    keyring = read_keys(keys)
    return store if keyring is None else SealedStore(store, keyring)


def _sqlite(url: str, history: History) -> Store:
    from kernel_broker.store.sqlite import SqliteStore

    place = urlsplit(url)
    if place.netloc == ":memory:" and not place.path:
        return SqliteStore(None, history=history)
    if place.netloc or place.query or place.fragment or len(place.path) < 2:
        raise ValueError(f"{url!r} names no file: write sqlite:///absolute/path (three slashes)")
    return SqliteStore(Path(unquote(place.path)), history=history)
