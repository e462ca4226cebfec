"""An answer stream that outlives its connections.

A stream is whole only with its `end` line. Anything else (EOF before it, a line that is no event, a long
silence, a lost connection) is a cut, and the reader re-attaches to the run with the last number it has.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx

from kernel_broker.wire.events import Event, LineError, read_line
from kernel_manager.client.connection import Connection, Cut, Patience
from kernel_manager.client.errors import ApiError, KernelError, RunLost

_DRAIN_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Opening:
    """The POST that starts a stream. `repeat`: it may be sent again although it may have arrived.

    If not, and it may have arrived, the run is looked for by its id instead.
    """

    path: str
    body: dict[str, Any]
    repeat: bool


class RunStream:
    """Follows one run of a session to its end."""

    def __init__(
        self,
        connection: Connection,
        session_id: str,
        *,
        run_id: str | None = None,
        after: int = -1,
        opening: Opening | None = None,
    ) -> None:
        self._connection = connection
        self._session_path = f"/v1/sessions/{quote(session_id, safe='')}"
        self._run_id = run_id
        self._last = after
        self._opening = opening
        self._attaching = opening is None
        self._uncertain: Cut | None = None
        self._seen = False
        self._ended = False
        self._started_from: int | None = None

    async def events(self) -> AsyncGenerator[Event, None]:
        """Every event once, in order, up to and with `end`; `waiting` while the broker does not answer."""
        patience = self._connection.new_patience()
        while True:
            try:
                async with aclosing(self._attempt(patience)) as attempt:
                    async for event in attempt:
                        yield event
                if self._ended:
                    return
                cut = Cut("the stream was cut", sent=True)
            except Cut as error:
                cut = error
            self._mark_uncertain(cut)
            pause = patience.next_pause(cut)
            if pause > 0:
                yield {"event": "waiting", "seq": -1, "reason": cut.reason}
                await asyncio.sleep(pause)

    async def _attempt(self, patience: Patience) -> AsyncGenerator[Event, None]:
        response = await self._open()
        try:
            lines = read_lines(response)
            async for line in lines:
                event = read_line(line)
                if self._is_news(event, patience):
                    yield event
                if event["event"] == "end":
                    self._ended = True
                    await _drain(lines)
                    return
        except LineError as error:
            raise Cut(f"something wrote into the stream: {error}", sent=True) from error
        except httpx.TransportError as error:
            raise self._connection.cut(error) from error
        finally:
            await response.aclose()

    async def _open(self) -> httpx.Response:
        try:
            if self._opening is not None and not self._attaching:
                return await self._connection.open("POST", self._opening.path, body=self._opening.body)
            path = f"{self._session_path}/runs/{quote(self._run_id or '', safe='')}"
            return await self._connection.open("GET", path, params={"after": self._last})
        except ApiError as error:
            if error.code == "run_lost" or (error.code == "run_not_found" and self._seen):
                raise await self._to_loss() from error
            if error.code == "run_not_found" and self._uncertain is not None:
                raise self._uncertain.to_error(0) from error
            raise

    def _is_news(self, event: Event, patience: Patience) -> bool:
        kind, seq = event["event"], event["seq"]
        if kind == "heartbeat":
            patience.alive()
            return True
        if kind == "accepted":
            self._attaching = self._seen = True
            self._run_id = self._run_id or event.get("run_id")
            self._started_from = event.get("revision", self._started_from)
        if seq <= self._last and kind != "end":
            return False
        self._last = max(self._last, seq)
        self._seen = True
        patience.progress()
        return True

    def _mark_uncertain(self, cut: Cut) -> None:
        """After a cut that the request may have outrun: what must not be sent twice is looked for."""
        if self._attaching or not cut.sent or self._opening is None or self._opening.repeat:
            return
        if self._run_id is None:
            raise cut.to_error(0) from cut
        self._attaching = True
        self._uncertain = cut

    async def _to_loss(self) -> KernelError:
        """The loss, with the revision the session stands at; or the reason why that cannot be said."""
        try:
            session = await self._connection.request("GET", self._session_path)
        except KernelError as error:
            return error
        return RunLost(self._run_id, session.get("revision"), self._started_from)


async def _drain(lines: AsyncGenerator[bytes, None]) -> None:
    """Read the body's own end, so that the connection can be used again; it comes with the last line."""
    with suppress(TimeoutError, httpx.TransportError, LineError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in lines:
                return


async def read_lines(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The whole lines of a body, cut at newlines only: httpx's own cut at every separator of Unicode."""
    parts: list[bytes] = []
    async for chunk in response.aiter_bytes():
        head, *rest = chunk.split(b"\n")
        parts.append(head)
        for piece in rest:
            line = b"".join(parts)
            parts = [piece]
            if line.strip():
                yield line
    if b"".join(parts).strip():
        raise LineError(f"the last line is not whole: {b''.join(parts)[:80]!r}")
