"""Where a broker is, and how to find out."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A broker's address. With `uds` the connection goes to that socket, `url` then only fills headers."""

    url: str
    token: str | None = field(default=None, repr=False)
    uds: str | None = None

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"a broker's URL starts with http:// or https://, not {self.url!r}")

    def __str__(self) -> str:
        """The address as a person would name it."""
        return f"unix:{self.uds}" if self.uds else self.url


Connect = Callable[[], Awaitable[Endpoint]]
"""Finds the broker, now: called before the first request and after every connection error."""


def fixed(endpoint: Endpoint) -> Connect:
    """A `Connect` for a broker that never moves."""

    async def connect() -> Endpoint:
        return endpoint

    return connect
