"""HTTP to one broker, wherever it is at the moment.

The border where httpx's exceptions and bare HTTP statuses become ours: one attempt ends in a response,
in an `ApiError` that waiting will not mend, or in a `Cut`.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import httpx

from kernel_broker.wire.events import HEARTBEAT_SECONDS
from kernel_manager.client.endpoint import Connect, Endpoint
from kernel_manager.client.errors import ApiError, BrokerUnreachable, Unavailable, to_error

SILENCE: Final = 3 * HEARTBEAT_SECONDS
"""Seconds without a byte after which a connection counts as dead."""

Content = bytes | Callable[[], AsyncIterator[bytes]]
"""Bytes to send, or what makes them anew for each attempt."""

_LONG_WORK: Final = 600.0
"""Seconds that the broker may be silent over something large that it was sent."""

_CONNECT_SECONDS: Final = 5.0
_KEEPALIVE_SECONDS: Final = 30.0  # below the broker's: let go before the server does
_LONGEST_PAUSE: Final = 2.0
_GATEWAY_STATUSES: Final = frozenset({502, 503, 504})
"""Without a problem document these come from a proxy: the broker behind it may or may not have heard us."""


class Cut(Exception):
    """An attempt that brought no answer. `sent`: the broker may have acted on the request."""

    def __init__(self, reason: str, *, sent: bool, refusal: ApiError | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent
        self.refusal = refusal

    def to_error(self, patience: float) -> BrokerUnreachable | ApiError:
        """What the caller gets once patience is over."""
        if self.refusal is not None:
            return self.refusal
        outcome = "; whether the broker acted on the last request is not known" if self.sent else ""
        return BrokerUnreachable(f"no answer from the broker within {patience:g} s: {self.reason}{outcome}")


class Patience:
    """How long to put up with a broker that does not answer; any sign of life renews it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.progress()

    def progress(self) -> None:
        """The work advanced: everything is well again."""
        self._pause = 0.0
        self.alive()

    def alive(self) -> None:
        """A heartbeat: the deadline moves, but pauses go on growing, so that no empty stream spins."""
        self._deadline: float | None = None

    def next_pause(self, cut: Cut) -> float:
        """Seconds to wait before the next attempt; raises what `cut` stands for when patience is over."""
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + self._seconds
        left = self._deadline - now
        if left <= 0:
            raise cut.to_error(self._seconds) from cut
        asked = cut.refusal.retry_after if cut.refusal is not None else None
        pause = self._pause if asked is None else max(asked, self._pause)
        self._pause = min(_LONGEST_PAUSE, max(0.05, self._pause * 2))
        return min(pause, left)


class Connection:
    """Keeps connections to the broker alive, and looks for the broker anew after a connection error.

    Belongs to one event loop.
    """

    def __init__(self, connect: Connect, patience: float, silence: float = SILENCE) -> None:
        self._connect = connect
        self._patience = patience
        self._silence = silence
        self._resolving = asyncio.Lock()
        self._suspect = False
        self._endpoint: Endpoint | None = None
        self._http: httpx.AsyncClient | None = None
        self._closed = False

    def new_patience(self) -> Patience:
        """Patience for one piece of work."""
        return Patience(self._patience)

    async def aclose(self) -> None:
        """Close every connection. Idempotent; the object cannot be used again."""
        self._closed = True
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def open(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content: Content | None = None,
        params: dict[str, Any] | None = None,
    ) -> httpx.Response:
        """One attempt; the body of the response is not read yet, the caller closes it. Raises `Cut`.

        What is sent is `body` as JSON, or `content` as it is.
        """
        http = await self._resolve()
        headers = {"accept": "application/x-ndjson, application/json, */*;q=0.1"}
        timeout = http.timeout
        if content is not None:
            headers["content-type"] = "application/octet-stream"
            timeout = httpx.Timeout(_LONG_WORK, connect=_CONNECT_SECONDS)
        elif body is not None:
            headers["content-type"] = "application/json"
            content = json.dumps(body).encode()  # ASCII: a lone surrogate is the broker's to refuse
        raw = content() if callable(content) else content
        try:
            request = http.build_request(
                method, path, content=raw, params=params, headers=headers, timeout=timeout
            )
            response = await http.send(request, stream=True)
        except httpx.TransportError as error:
            raise self.cut(error) from error
        if response.is_success:
            return response
        try:
            await response.aread()
        except httpx.TransportError as error:
            raise self.cut(error) from error
        finally:
            await response.aclose()
        raise _to_refusal(response)

    async def request(
        self, method: str, path: str, *, body: Any = None, content: Content | None = None, repeat: bool = True
    ) -> Any:
        """The parsed answer, waiting out a broker that is down. `repeat`: doing it twice does no harm."""
        patience = self.new_patience()
        while True:
            try:
                return await self._ask(method, path, body, content)
            except Cut as cut:
                if cut.sent and not repeat:
                    raise cut.to_error(0) from cut
                await asyncio.sleep(patience.next_pause(cut))

    def cut(self, error: httpx.TransportError) -> Cut:
        """A transport's failure in our words; the endpoint is looked up again before the next attempt."""
        self._suspect = True
        unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        verb = "cannot connect to" if unsent else "lost the connection to"
        reason = str(error) or type(error).__name__
        return Cut(f"{verb} {self._endpoint} ({reason})", sent=not unsent)

    async def _ask(self, method: str, path: str, body: Any, content: Content | None) -> Any:
        response = await self.open(method, path, body=body, content=content)
        try:
            await response.aread()
            return response.json() if response.content else None
        except httpx.TransportError as error:
            raise self.cut(error) from error
        except ValueError as error:
            raise ApiError({"detail": f"{self._endpoint} does not speak as a broker does"}) from error
        finally:
            await response.aclose()

    async def _resolve(self) -> httpx.AsyncClient:
        async with self._resolving:
            if self._closed:
                raise RuntimeError("this client is closed")
            if self._http is not None and not self._suspect:
                return self._http
            endpoint = await self._connect()
            self._suspect = False
            if self._http is None or endpoint != self._endpoint:
                old, self._http = self._http, self._new_http(endpoint)
                self._endpoint = endpoint
                if old is not None:
                    await old.aclose()  # its streams re-attach at the new endpoint
            return self._http

    def _new_http(self, endpoint: Endpoint) -> httpx.AsyncClient:
        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=32, keepalive_expiry=_KEEPALIVE_SECONDS
        )
        transport = httpx.AsyncHTTPTransport(uds=endpoint.uds, limits=limits, verify=endpoint.to_tls())
        return httpx.AsyncClient(
            base_url=endpoint.url,
            transport=transport,
            timeout=httpx.Timeout(self._silence, connect=_CONNECT_SECONDS),
            headers={"authorization": f"Bearer {endpoint.token}"} if endpoint.token else None,
        )


def _to_refusal(response: httpx.Response) -> Cut | ApiError:
    problem = _read_problem(response)
    if problem is None:
        reason = f"HTTP {response.status_code} without a problem document from {response.url}"
        if response.status_code in _GATEWAY_STATUSES:
            return Cut(reason, sent=True)
        return ApiError({"status": response.status_code, "detail": reason})
    error = to_error(problem)
    if isinstance(error, Unavailable):
        return Cut(str(error), sent=False, refusal=error)
    return error


def _read_problem(response: httpx.Response) -> dict[str, Any] | None:
    try:
        problem = response.json()
    except ValueError:
        return None
    if not isinstance(problem, dict) or "code" not in problem:
        return None
    header = response.headers.get("retry-after", "")
    if "retry_after" not in problem and header.isdecimal():
        problem["retry_after"] = int(header)
    return {"status": response.status_code, **problem}
