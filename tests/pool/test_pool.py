"""The pool: real zygotes, real forks; spares, losses, and nothing left behind."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest

from kernel_broker.errors import Unavailable
from kernel_broker.pool.environment import clean_environment
from kernel_broker.pool.pool import Pool, PoolLimits


@asynccontextmanager
async def running(limits: PoolLimits, preload: tuple[str, ...] = ()) -> AsyncIterator[Pool]:
    pool = Pool(preload, limits)
    before = set(psutil.Process().children(recursive=True))
    descriptors = psutil.Process().num_fds()
    task = asyncio.create_task(pool.run())
    try:
        yield pool
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    psutil.wait_procs(set(psutil.Process().children(recursive=True)) - before, timeout=10)
    assert set(psutil.Process().children(recursive=True)) <= before
    assert psutil.Process().num_fds() <= descriptors


async def test_workers_are_handed_over_replaced_and_ended() -> None:
    async with running(PoolLimits(spares=2)) as pool:
        first = await pool.acquire(30)
        second = await pool.acquire(30)
        assert first.pid != second.pid
        assert pool.info is not None
        assert pool.info["kernel_info"]["implementation"] == "ipython"
        await pool.release(first)
        assert str(await first.wait_exit()) == "it was killed by SIGKILL"
        assert second.exit is None


async def test_a_worker_that_is_killed_is_heard_of() -> None:
    async with running(PoolLimits(spares=1)) as pool:
        worker = await pool.acquire(30)
        os.kill(worker.pid, signal.SIGSEGV)
        assert [frame async for frame in worker.frames()] == []
        assert str(await worker.wait_exit()) == "it was killed by SIGSEGV"
        await pool.release(worker)


async def test_a_full_pool_says_so() -> None:
    async with running(PoolLimits(spares=0, workers=1)) as pool:
        await pool.acquire(30)
        with pytest.raises(Unavailable, match="all 1 workers") as refused:
            await pool.acquire(30)
        assert refused.value.problem.retry_after is not None


async def forks_again(pool: Pool, lost: psutil.Process) -> bool:
    try:
        worker = await pool.acquire(30)
        parent = psutil.Process(worker.pid).parent()
    except (Unavailable, psutil.NoSuchProcess):
        return False
    return parent != lost and parent in psutil.Process().children()


async def test_a_lost_zygote_is_replaced_and_its_workers_end() -> None:
    async with running(PoolLimits(spares=1)) as pool:
        worker = await pool.acquire(30)
        zygote = psutil.Process(worker.pid).parent()
        assert zygote is not None
        zygote.kill()
        assert [frame async for frame in worker.frames()] == []
        async with asyncio.timeout(60):
            while not await forks_again(
                pool, zygote
            ):  # until then, what is acquired may die with the lost one
                await asyncio.sleep(0.05)


async def test_a_zygote_that_cannot_start_is_a_designed_error() -> None:
    async with running(PoolLimits(spares=1), preload=("no_such_module_anywhere",)) as pool:
        with pytest.raises(Unavailable, match="no worker is ready"):
            await pool.acquire(3)


async def test_the_zygote_gets_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNEL_BROKER_TOKEN", "sekret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sekret")
    assert "sekret" not in str(clean_environment())
    async with running(PoolLimits(spares=1)) as pool:
        worker = await pool.acquire(30)
        for process in (psutil.Process(worker.pid), psutil.Process(worker.pid).parent()):
            assert process is not None
            assert "sekret" not in str(process.environ())
