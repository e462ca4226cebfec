"""Connections that ask for nothing, or too slowly: uvicorn waits for them for ever; here they are ended."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEAD_BYTES: Final = 32 * 2**10
"""Bytes that a request line and its headers may have together."""

if TYPE_CHECKING:
    _Base = asyncio.Protocol
else:
    _Base = AutoHTTPProtocol


def prompt_protocol(seconds: float) -> type[asyncio.Protocol]:
    """The protocol for uvicorn to serve: it gives a client so many seconds for the head of a request."""
    return type("Prompt", (PromptProtocol,), {"head_seconds": seconds})


class PromptProtocol(_Base):
    """Ends a connection if the first request's head, or a later one's once begun, is not whole in time."""

    head_seconds: float = 20.0
    transport: asyncio.Transport
    cycle: Any
    """The last request, with its answer."""
    _timer: asyncio.TimerHandle | None = None
    _head = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection that says nothing is ended too."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Hand the bytes on; then either a request is under way, or a head is not whole yet."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_expecting()
            return
        self._expect_head()
        if self.cycle is None or not self.cycle.more_body:  # else it is the rest of a body nobody wants
            self._head += len(data)
        if self._head > HEAD_BYTES:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._stop_expecting()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.head_seconds, self.transport.close)

    def _stop_expecting(self) -> None:
        self._head = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
