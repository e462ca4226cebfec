"""Where the system has no memory to share, chunks cross in frames, bounded all the same."""

import asyncio
import socket
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kernel_broker.pool import handle
from kernel_broker.sessions.freight import Intake, Supply
from kernel_broker.store.contract import Buffer, StoreUnavailable
from kernel_broker.wire.frames import Frame, FrameDecoder, FrameError
from kernel_broker.wire.ids import ChunkId


class Far:
    """The worker's end of a socket, read to the end of what was sent."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._decoder = FrameDecoder()

    async def receive(self, count: int) -> list[Frame]:
        frames: list[Frame] = []
        while len(frames) < count:
            self._decoder.feed(await asyncio.get_running_loop().sock_recv(self._sock, 2**20))
            frames += self._decoder
        return frames


@asynccontextmanager
async def connected(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[handle.Worker, Far]]:
    monkeypatch.setattr(handle, "make_exchange", lambda: None)
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    worker = handle.Worker(0, ours, lambda _: None)
    await worker.connect()
    with theirs:
        yield worker, Far(theirs)
    await worker.close()


def ids(*names: str) -> list[ChunkId]:
    return [ChunkId(name) for name in names]


async def discard(_: Sequence[ChunkId]) -> None:
    raise StoreUnavailable("away")


async def test_chunks_are_gathered_and_written_before_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    stored: list[dict[ChunkId, Buffer]] = []

    async def keep(chunks: Mapping[ChunkId, Buffer]) -> None:
        stored.append(dict(chunks))

    async with connected(monkeypatch) as (worker, _), asyncio.TaskGroup() as tasks:
        intake = Intake(worker, keep, discard, tasks.create_task)
        for number in range(20):
            await intake.gather(ChunkId(f"{number}"), bytes(2**20))
        assert [len(chunks) for chunks in stored] == [8, 8]
        await intake.settled()
        assert [len(chunks) for chunks in stored] == [8, 8, 4]
        await intake.settled()
        assert len(stored) == 3
        with pytest.raises(FrameError):
            intake.take({"slot": 0, "names": ["0"], "sizes": [1]})


async def test_a_failure_is_told_once_and_then_all_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    fails = True

    async def keep(_: Mapping[ChunkId, Buffer]) -> None:
        if fails:
            raise StoreUnavailable("away")

    async with connected(monkeypatch) as (worker, _), asyncio.TaskGroup() as tasks:
        intake = Intake(worker, keep, discard, tasks.create_task)
        await intake.gather(ChunkId("a"), b"1")
        with pytest.raises(StoreUnavailable):
            await intake.settled()
        fails = False
        await intake.gather(ChunkId("a"), b"1")
        await intake.settled()


async def test_a_damaged_chunk_that_could_not_be_taken_out_fails_the_commit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def keep(_: Mapping[ChunkId, Buffer]) -> None:
        pytest.fail("nothing may be written before the damaged chunk is gone")

    async with connected(monkeypatch) as (worker, _), asyncio.TaskGroup() as tasks:
        intake = Intake(worker, keep, discard, tasks.create_task)
        await intake.discard(["a"])
        await intake.gather(ChunkId("a"), b"1")
        with pytest.raises(StoreUnavailable):
            await intake.settled()


async def test_chunks_are_supplied_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fetch(wanted: Collection[ChunkId]) -> Mapping[ChunkId, bytes]:
        if "bad" in wanted:
            raise StoreUnavailable("away")
        return {chunk_id: chunk_id.encode() * 2**18 for chunk_id in wanted if chunk_id != "dead"}

    async with connected(monkeypatch) as (worker, far), asyncio.TaskGroup() as tasks:
        supply = Supply(worker, fetch, tasks.create_task)
        names = [*(str(number) for number in range(30)), "dead", "e"]
        supply.begin({"ids": ids(*names)}, None)
        frames = await far.receive(32)
        assert [frame.head["id"] for frame in frames] == names
        assert [frame.head["found"] for frame in frames] == [name != "dead" for name in names]
        sent = {frame.head["id"]: b"".join(frame.parts) for frame in frames}
        assert all(sent[name] == name.encode() * 2**18 for name in names if name != "dead")
        supply.begin({"ids": ids("bad")}, None)
        (failed,) = await far.receive(1)
        assert failed.head["failure"] == "away"
        told: list[Any] = []
        supply.begin({"ids": ids("bad")}, told.append)
    assert [str(error) for error in told] == ["away"]
