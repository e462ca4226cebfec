"""One turn a session: requests run one by one, first come first served, and see their place in line."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from kernel_broker.errors import LineFull


class Turn:
    """A fair lock whose waiters are told their position when it changes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = False
        self._line: deque[tuple[asyncio.Future[None], Callable[[int], None]]] = deque()

    @property
    def taken(self) -> bool:
        """Whether somebody has the turn now."""
        return self._taken

    @asynccontextmanager
    async def take(self, on_wait: Callable[[int], None] | None = None) -> AsyncIterator[None]:
        """Hold the turn for the block. `on_wait(position)` is called while in line, 1 being next.

        Without it, the line is never too long: what ends or moves a session must have its turn.
        """
        await self._wait(on_wait)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, on_wait: Callable[[int], None] | None) -> None:
        if not self._taken:
            self._taken = True
            return
        if on_wait is not None and len(self._line) >= self._limit:
            raise LineFull(
                f"{self._limit} requests wait for this session already; let some of them finish",
                retry_after=1,
            )
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = called, on_wait or (lambda _: None)
        self._line.append(place)
        place[1](len(self._line))
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():
                self._pass_on()  # the turn had just come
            else:
                self._line.remove(place)
            raise

    def _pass_on(self) -> None:
        while self._line:
            called, _ = self._line.popleft()
            if not called.done():
                called.set_result(None)
                for position, (_, on_wait) in enumerate(self._line, 1):
                    on_wait(position)
                return
        self._taken = False
