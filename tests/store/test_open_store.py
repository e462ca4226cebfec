"""From a URL to a store, and what is said of URLs that make no sense."""

import subprocess
import sys

import pytest

from kernel_broker.store.open import open_store
from kernel_broker.store.redis_store import RedisStore
from kernel_broker.store.sqlite import SqliteStore


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("sqlite:///var/lib/x.db", SqliteStore),
        ("sqlite://:memory:", SqliteStore),
        ("redis://localhost", RedisStore),
        ("redis://user:p%40ss@localhost:6380/3", RedisStore),
        ("rediss://localhost?ssl_cert_reqs=none", RedisStore),
        ("unix:///run/redis.sock?db=1", RedisStore),
        ("redis+sentinel://one:26379,two/kernels?db=0", RedisStore),
        ("redis+sentinel://u:p@[::1]:26379,two/kernels?sentinel_password=x", RedisStore),
    ],
)
async def test_a_url_names_its_store(url, kind):
    assert type(open_store(url)) is kind


async def test_a_path_is_percent_decoded(tmp_path):
    store = open_store(f"sqlite://{tmp_path}/with%20space.db")
    await store.open()
    await store.close()
    assert (tmp_path / "with space.db").exists()


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("", "unknown store ''.*sqlite:///"),
        ("postgres://user:secret@host/db", "unknown store 'postgres'.*redis://"),
        ("just/a/path", "unknown store"),
        ("sqlite://relative/path.db", "three slashes"),
        ("sqlite:///", "three slashes"),
        ("sqlite://", "three slashes"),
        ("redis://host:secret", "not a Redis URL"),
        ("redis://:sec/ret@host:6379", "not a Redis URL"),
        ("redis://:secret@host?no_such_option=1", "not a Redis URL"),
        ("redis+sentinel://:secret@host:26379", "service"),
        ("redis+sentinel:///service", "redis\\+sentinel://host"),
        ("redis+sentinel://:secret@host/service?timeout=3", "not timeout"),
        ("redis+sentinel://:secret@host/service?db=x", "db=0"),
        ("redis+sentinel://:secret@:26379/service", "host name"),
    ],
)
def test_a_url_that_makes_no_sense_says_what_would(url, advice):
    with pytest.raises(ValueError, match=advice) as refusal:
        open_store(url)
    assert "secret" not in str(refusal.value).replace("no_secret", "")
    assert refusal.value.__cause__ is None


def test_the_embedded_store_does_without_redis_py():
    check = (
        "import sys; from kernel_broker.store.open import open_store; open_store('sqlite://:memory:');"
        " sys.exit('redis' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
