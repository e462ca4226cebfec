"""Where a broker is, and how to find out."""

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A broker's address. With `uds` the connection goes to that socket, `url` then only fills headers."""

    url: str
    token: str | None = field(default=None, repr=False)
    uds: str | None = None
    ca_file: str | None = None
    """The authorities that the broker's certificate is checked against, instead of the system's."""
    client_cert: str | None = None
    """A file with the certificate, and its key, that is shown to a broker which asks for one."""

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"a broker's URL starts with http:// or https://, not {self.url!r}")

    def __str__(self) -> str:
        """The address as a person would name it."""
        return f"unix:{self.uds}" if self.uds else self.url

    def to_tls(self) -> ssl.SSLContext | bool:
        """How the broker is to be verified; raises OSError for files that cannot be used.

        Only where there is something to verify: loading the system's authorities takes 20 ms.
        """
        if not self.url.startswith("https:"):
            return False
        if self.ca_file is None and self.client_cert is None:
            return True
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.client_cert is not None:
            context.load_cert_chain(self.client_cert)
        return context


Connect = Callable[[], Awaitable[Endpoint]]
"""Finds the broker, now: called before the first request and after every connection error."""


def fixed(endpoint: Endpoint) -> Connect:
    """A `Connect` for a broker that never moves."""

    async def connect() -> Endpoint:
        return endpoint

    return connect
