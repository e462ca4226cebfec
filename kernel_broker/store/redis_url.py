"""Redis URLs taken apart, without a word of what is secret in them."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

_SENTINEL_OPTIONS = {"db", "sentinel_username", "sentinel_password"}
_SENTINEL_PORT = 26379


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """`redis+sentinel://user:password@host:port,host:port/service?db=0`: the master of `service`."""

    nodes: list[tuple[str, int]]
    service: str
    credentials: dict[str, str]
    """`username` and `password` of the Redis servers."""
    sentinel_credentials: dict[str, str]
    db: int


def parse_sentinel(url: str) -> SentinelAddress:
    """Raises ValueError for a URL that names no service, no host, or an unknown option."""
    authority, _, tail = url.partition("://")[2].partition("/")
    userinfo, _, hosts = authority.rpartition("@")
    service, _, query = tail.partition("?")
    options = dict(parse_qsl(query))
    unknown = ", ".join(sorted(options.keys() - _SENTINEL_OPTIONS))
    if unknown or not service or not hosts or not options.get("db", "0").isdecimal():
        raise ValueError(
            "a Sentinel store is written redis+sentinel://host:port,host:port/service?db=0"
            f" (options: {', '.join(sorted(_SENTINEL_OPTIONS))}" + (f"; not {unknown})" if unknown else ")")
        )
    username, _, password = userinfo.partition(":")
    of_sentinel = {name: options.get(f"sentinel_{name}", "") for name in ("username", "password")}
    return SentinelAddress(
        nodes=[_node(host) for host in hosts.split(",")],
        service=unquote(service),
        credentials=_given({"username": unquote(username), "password": unquote(password)}),
        sentinel_credentials=_given(of_sentinel),
        db=int(options.get("db", "0")),
    )


def _node(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("a Sentinel store needs a host name before each port")
    return parts.hostname, parts.port or _SENTINEL_PORT


def _given(options: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in options.items() if value}


def without_secrets(url: str) -> str:
    """Scheme and place of `url`, fit for messages: no user, no password, no options."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
