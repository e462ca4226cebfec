"""Chunks on their way between a worker and the store: several at once, never more than its memory holds."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, TypeVar

from kernel_broker.errors import BrokerError
from kernel_broker.pool.exchange import DOWN, SLOT, Exchange
from kernel_broker.pool.handle import Worker, WorkerLost
from kernel_broker.sessions.claims import chunk_ids
from kernel_broker.store.contract import Buffer
from kernel_broker.wire.frames import Frame, FrameError
from kernel_broker.wire.ids import ChunkId

Json = dict[str, Any]
Fetch = Callable[[Collection[ChunkId]], Awaitable[Mapping[ChunkId, bytes]]]
Keep = Callable[[Mapping[ChunkId, Buffer]], Awaitable[None]]
Discard = Callable[[Sequence[ChunkId]], Awaitable[None]]

_IN_FRAMES: Final = 8 * 2**20
_FRAMES_AT_MOST: Final = 4096
"""Bytes that come in frames and are gathered for one write."""

T = TypeVar("T")


class Spawn(Protocol):
    """Runs something that ends with the worker."""

    def __call__(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]: ...


_READS: Final = 3
"""Reads of the store under way at once, for one fetch."""

_MOST: Final = 32
"""Chunks asked of the store at once, however small those before were."""


class Intake:
    """Chunks to the store. What fails is told when all has come; the next commit brings it again."""

    def __init__(self, worker: Worker, keep: Keep, discard: Discard, spawn: Spawn) -> None:
        self._worker = worker
        self._keep = keep
        self._discard = discard
        self._spawn = spawn
        self._taking: dict[int, asyncio.Task[None]] = {}
        self._gathered: dict[ChunkId, Buffer] = {}
        self._gathered_bytes = 0
        self._trouble: BrokerError | None = None

    def take(self, head: Json) -> None:
        """A slot of the shared memory is full; raises `FrameError` if what is said of it cannot be."""
        exchange, slot, names, sizes = self._worker.exchange, head["slot"], head["names"], head["sizes"]
        if exchange is None or slot in self._taking or len(names) != len(sizes):
            raise FrameError("a worker sends chunks that it cannot have")
        pieces = exchange.read(slot, sizes)
        chunks = dict(zip(chunk_ids(names), pieces, strict=True))
        self._taking[slot] = self._spawn(self._take(slot, chunks))

    async def _take(self, slot: int, chunks: Mapping[ChunkId, Buffer]) -> None:
        await self._store(chunks)
        del self._taking[slot]
        with suppress(WorkerLost):
            await self._worker.send(Frame("taken", {"slot": slot}))

    async def gather(self, name: Any, data: bytes) -> None:
        """A chunk has come in a frame."""
        (chunk_id,) = chunk_ids([name])
        if not data:
            raise FrameError("a worker sends a chunk of nothing")
        self._gathered[chunk_id] = data
        self._gathered_bytes += len(data)
        if self._gathered_bytes >= _IN_FRAMES or len(self._gathered) >= _FRAMES_AT_MOST:
            await self._store_gathered()

    async def _store_gathered(self) -> None:
        chunks, self._gathered = self._gathered, {}
        self._gathered_bytes = 0
        if chunks:
            await self._store(chunks)

    async def _store(self, chunks: Mapping[ChunkId, Buffer]) -> None:
        if self._trouble is None:
            try:
                await self._keep(chunks)
            except BrokerError as error:
                self._trouble = error

    async def discard(self, names: Any) -> None:
        """What the worker has found damaged goes, before the same chunks come again."""
        damaged = chunk_ids(names)
        try:
            await self._discard(damaged)
        except BrokerError as error:
            self._trouble = error

    async def settled(self) -> None:
        """Wait until everything that came is in the store; raises what kept it from getting there."""
        await self._store_gathered()
        if self._taking:
            await asyncio.wait(list(self._taking.values()))
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise trouble


class Supply:
    """Chunks from the store, in the order asked for, read ahead while the worker takes them in."""

    def __init__(self, worker: Worker, fetch: Fetch, spawn: Spawn) -> None:
        self._worker = worker
        self._fetch = fetch
        self._spawn = spawn
        self._free: asyncio.Queue[int] = asyncio.Queue()
        self._lent: set[int] = set()
        self._fetches: dict[int, asyncio.Task[None]] = {}
        self._mean = 2.0**20
        for slot in range(DOWN):
            self._free.put_nowait(slot)

    def begin(self, head: Json, on_failure: Callable[[BrokerError], None] | None) -> None:
        """The worker asks for chunks. Without `on_failure` a failure of the store is the worker's to hear."""
        ids = chunk_ids(head["ids"])
        number = head.get("fetch")
        if number in self._fetches or (number is not None and self._worker.exchange is None):
            raise FrameError("a worker asks for chunks in a way that cannot be")
        task = self._spawn(self._supply(number, ids, on_failure))
        if number is not None:
            self._fetches[number] = task
            task.add_done_callback(lambda _: self._fetches.pop(number, None))

    def end(self, number: Any) -> None:
        """The worker wants no more of a fetch."""
        if number in self._fetches:
            self._fetches[number].cancel()

    def on_read(self, slot: Any) -> None:
        """The worker is through with a slot."""
        if slot not in self._lent:
            raise FrameError("a worker gives back a slot that it has not got")
        self._lent.remove(slot)
        self._free.put_nowait(slot)
        if not self._lent and not self._fetches and self._worker.exchange is not None:
            self._worker.exchange.trim()

    async def _supply(
        self, number: int | None, ids: Sequence[ChunkId], on_failure: Callable[[BrokerError], None] | None
    ) -> None:
        try:
            if number is None or self._worker.exchange is None:
                await self._in_frames(ids)
            else:
                await self._in_memory(number, self._worker.exchange, ids)
        except (WorkerLost, ConnectionError):
            return
        except BrokerError as error:
            if on_failure is not None:
                on_failure(error)
                return
            with suppress(WorkerLost):
                head = {"fetch": number, "failure": error.problem.detail}
                await self._worker.send(Frame("chunk" if number is None else "pieces", head))

    async def _in_frames(self, ids: Sequence[ChunkId]) -> None:
        for start in range(0, len(ids), 8):
            batch = ids[start : start + 8]
            found = await self._fetch(batch)
            for chunk_id in batch:
                data = found.get(chunk_id)
                head = {"id": chunk_id, "found": data is not None}
                await self._worker.send(Frame("chunk", head, [data] if data is not None else []))

    async def _in_memory(self, number: int, exchange: Exchange, ids: Sequence[ChunkId]) -> None:
        reads: deque[asyncio.Task[Mapping[ChunkId, bytes] | BrokerError]] = deque()
        waiting: deque[list[ChunkId]] = deque()
        start = 0
        try:
            while start < len(ids) or reads:
                while start < len(ids) and len(reads) < _READS:
                    batch = list(ids[start : start + self._at_once])
                    start += len(batch)
                    waiting.append(batch)
                    reads.append(self._spawn(self._read(batch)))
                found = await reads.popleft()
                if isinstance(found, BrokerError):
                    raise found
                self._learn(found)
                for load in _loads([found.get(chunk_id) for chunk_id in waiting.popleft()]):
                    await self._lend(number, exchange, load)
        finally:
            for read in reads:
                read.cancel()

    async def _read(self, batch: Sequence[ChunkId]) -> Mapping[ChunkId, bytes] | BrokerError:
        try:
            return await self._fetch(batch)
        except BrokerError as error:
            return error

    @property
    def _at_once(self) -> int:
        """How many chunks fill about a slot."""
        return min(_MOST, max(1, int(SLOT / self._mean)))

    def _learn(self, found: Mapping[ChunkId, bytes]) -> None:
        if found:
            self._mean = max(1.0, sum(map(len, found.values())) / len(found))

    async def _lend(self, number: int, exchange: Exchange, load: Sequence[bytes | None]) -> None:
        slot = await self._free.get()
        self._lent.add(slot)
        sizes = exchange.write(slot, load)
        await self._worker.send(Frame("pieces", {"fetch": number, "slot": slot, "sizes": sizes}))


def _loads(pieces: Sequence[bytes | None]) -> Iterator[list[bytes | None]]:
    """Pieces in groups that fit in a slot; one that does not is nothing that a worker has made."""
    load: list[bytes | None] = []
    room = SLOT
    for stored in pieces:
        piece = stored if len(stored or b"") <= SLOT else None
        size = len(piece or b"")
        if load and size > room:
            yield load
            load, room = [], SLOT
        load.append(piece)
        room -= size
    if load:
        yield load
