"""The memory that broker and worker share: sealed, bounded, given back; what cannot be in it is refused."""

import asyncio
import mmap
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest

from kernel_broker.pool.exchange import DOWN, SLOT, UP, Exchange
from kernel_broker.pool.handle import Worker
from kernel_broker.wire.frames import Frame, FrameDecoder, FrameError, encode


@asynccontextmanager
async def handed_over(held: int = 0) -> AsyncIterator[tuple[Exchange, int, socket.socket]]:
    """A worker's memory, the descriptor that came with it, and the worker's end of the socket.

    At the end nothing of it is open but what is `held`.
    """
    ours, theirs = socket.socketpair()
    descriptors = psutil.Process().num_fds()
    worker = Worker(0, ours, lambda _: None)
    await worker.connect()
    data, received, _, _ = socket.recv_fds(theirs, 4096, 4)
    decoder = FrameDecoder()
    decoder.feed(data)
    assert [frame.head for frame in decoder] == [{"slot": SLOT, "up": UP, "down": DOWN}]
    assert worker.exchange is not None
    try:
        with theirs:
            yield worker.exchange, received[0], theirs
    finally:
        os.close(received[0])
        await worker.close()
    assert psutil.Process().num_fds() <= descriptors - 2 + held


async def test_what_one_side_writes_the_other_reads() -> None:
    async with handed_over() as (exchange, descriptor, _):
        with mmap.mmap(descriptor, (UP + DOWN) * SLOT) as theirs:
            theirs[SLOT : SLOT + 6] = b"abcdef"
            assert [bytes(piece) for piece in exchange.read(1, [2, 0, 4])] == [b"ab", b"", b"cdef"]
            assert exchange.write(1, [b"xy", None, b"z" * 10]) == [2, -1, 10]
            start = (UP + 1) * SLOT
            assert theirs[start : start + 12] == b"xy" + b"z" * 10


async def test_a_worker_can_neither_shrink_nor_grow_it() -> None:
    async with handed_over() as (exchange, descriptor, _):
        for size in (0, mmap.PAGESIZE, (UP + DOWN) * SLOT + mmap.PAGESIZE):
            with pytest.raises(PermissionError):
                os.ftruncate(descriptor, size)
        with mmap.mmap(descriptor, (UP + DOWN) * SLOT) as theirs:
            theirs.madvise(mmap.MADV_REMOVE)
        assert bytes(exchange.read(0, [5])[0]) == bytes(5)


async def test_pages_are_given_back() -> None:
    async with handed_over() as (exchange, descriptor, _):
        for slot in range(DOWN):
            exchange.write(slot, [bytes(SLOT)])
        assert os.fstat(descriptor).st_blocks * 512 == DOWN * SLOT
        exchange.trim()
        assert os.fstat(descriptor).st_blocks == 0


@pytest.mark.parametrize(
    ("slot", "sizes"),
    [(UP, [1]), (-1, [1]), ("0", [1]), (None, [1]), (0, [SLOT + 1]), (0, [SLOT, 1]), (0, [-1]), (0, [1.0]),
     (0, [True]), (0, ["1"])],
)  # fmt: skip
async def test_what_cannot_be_in_a_slot_is_refused(slot: object, sizes: list[object]) -> None:
    async with handed_over() as (exchange, _, _):
        with pytest.raises(FrameError):
            exchange.read(slot, sizes)


async def test_what_is_read_outlives_the_worker() -> None:
    async with handed_over(held=1) as (exchange, descriptor, _):
        os.pwrite(descriptor, b"late", 0)
        (piece,) = exchange.read(0, [4])
    assert bytes(piece) == b"late"
    with pytest.raises(ConnectionError):
        exchange.write(0, [b""])


async def test_descriptors_that_a_worker_sends_are_not_taken() -> None:
    ours, theirs = socket.socketpair()
    worker = Worker(0, ours, lambda _: None)
    await worker.connect()
    before = psutil.Process().num_fds()
    frame = b"".join(encode(Frame("quiet")))
    with theirs:
        for _ in range(50):
            socket.send_fds(theirs, [frame], [0, 1, 2])
    async with asyncio.timeout(30):
        assert len([frame async for frame in worker.frames()]) == 50
    assert psutil.Process().num_fds() <= before
    worker.on_exit(0)
    await worker.close()
