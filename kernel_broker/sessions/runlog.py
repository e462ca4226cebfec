"""The log of a run: numbered event lines, bounded in bytes, followed by any number of readers.

The run never waits for a reader that is gone, and waits only a while for a slow one; lines dropped before
a reader saw them are marked in its stream.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from kernel_broker.wire.events import HEARTBEAT_SECONDS, read_line, to_line

STALL_SECONDS = 10.0
"""How long a writer waits for its slowest reader before it goes on without it."""

_BATCH = 2**18


@dataclass(eq=False, slots=True)
class _Reader:
    position: int  # number of the next line to take
    lag: int = 0  # bytes written since this reader last caught up
    waited_for: bool = False  # in vain: it is not waited for again until it has caught up


class RunLog:
    """Lines in memory, the newest `limit` bytes of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lines: deque[bytes] = deque()
        self._first = 0  # seq of the oldest line kept
        self._held = 0
        self._news = asyncio.Event()
        self._progress = asyncio.Event()
        self._readers: set[_Reader] = set()
        self.ended = False

    @classmethod
    def restored(cls, lines: bytes) -> "RunLog":
        """The log of a finished run, from the tail of it that was stored."""
        log = cls(len(lines) + 1)
        for line in lines.splitlines(keepends=True):
            if not log._lines:
                log._first = read_line(line)["seq"]
            log._lines.append(line)
        log.ended = True
        return log

    @property
    def next_seq(self) -> int:
        """The number the next line gets."""
        return self._first + len(self._lines)

    @property
    def size(self) -> int:
        """Bytes of the lines kept."""
        return self._held

    def append(self, make_line: Callable[[int], bytes]) -> None:
        """Add one line, made for its number; nothing is added to a log that has ended."""
        if self.ended:
            return
        line = make_line(self.next_seq)
        self._lines.append(line)
        self._held += len(line)
        for reader in self._readers:
            reader.lag += len(line)
        while self._held > self._limit and len(self._lines) > 1:
            self._held -= len(self._lines.popleft())
            self._first += 1
        self._wake()

    def end(self, make_line: Callable[[int], bytes]) -> None:
        """Add the last line."""
        self.append(make_line)
        self.ended = True
        self._wake()

    async def room(self) -> None:
        """Wait until the slowest reader is not far behind, but not for ever."""
        try:
            async with asyncio.timeout(STALL_SECONDS):
                while self._far_behind():
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            for reader in self._far_behind():
                reader.waited_for = True

    def _far_behind(self) -> list[_Reader]:
        return [r for r in self._readers if r.lag > self._limit // 2 and not r.waited_for]

    def tail(self, limit: int) -> bytes:
        """The newest whole lines within `limit` bytes."""
        kept: deque[bytes] = deque()
        for line in reversed(self._lines):
            limit -= len(line)
            if limit < 0:
                break
            kept.appendleft(line)
        return b"".join(kept)

    async def follow(self, after: int) -> AsyncIterator[bytes]:
        """Lines numbered above `after`, as they come, until the end; heartbeats in between.

        Several lines may be joined in one piece.
        """
        reader = _Reader(after + 1)
        self._readers.add(reader)
        try:
            while True:
                if reader.position < self._first:
                    dropped = to_line("dropped", self._first - 1, first=reader.position, last=self._first - 1)
                    reader.position = self._first
                    yield dropped
                elif reader.position < self.next_seq:
                    yield self._batch(reader)
                elif self.ended:
                    return
                elif not await self._wait_for_news():
                    yield to_line("heartbeat", self.next_seq - 1)
        finally:
            self._readers.discard(reader)
            self._progress.set()

    def _batch(self, reader: _Reader) -> bytes:
        lines, size = [], 0
        while reader.position < self.next_seq and size < _BATCH:
            line = self._lines[reader.position - self._first]
            lines.append(line)
            size += len(line)
            reader.position += 1
        if reader.position == self.next_seq:
            reader.lag, reader.waited_for = 0, False
        else:
            reader.lag = max(0, reader.lag - size)
        self._progress.set()
        return b"".join(lines)

    async def _wait_for_news(self) -> bool:
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
