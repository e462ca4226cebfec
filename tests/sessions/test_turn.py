"""One turn a session: first come, first served, and everybody knows their place."""

import asyncio

import pytest

from kernel_broker.errors import LineFull
from kernel_broker.sessions.turn import Turn


async def test_waiters_come_in_order_and_hear_their_positions() -> None:
    turn, order, heard = Turn(10), [], {0: [], 1: [], 2: []}

    async def one(number: int) -> None:
        async with turn.take(heard[number].append):
            order.append(number)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        for number in range(3):
            tasks.create_task(one(number))
    assert order == [0, 1, 2]
    assert heard == {0: [], 1: [1], 2: [2, 1]}
    assert not turn.taken


async def test_a_waiter_that_leaves_does_not_take_the_turn_along() -> None:
    turn = Turn(10)
    async with turn.take(lambda _: None):
        leaving = asyncio.create_task(turn.take(lambda _: None).__aenter__())
        staying = asyncio.create_task(turn.take(lambda _: None).__aenter__())
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
    await staying


async def test_a_full_line_refuses() -> None:
    turn = Turn(1)
    async with turn.take(lambda _: None):
        waiting = asyncio.create_task(turn.take(lambda _: None).__aenter__())
        await asyncio.sleep(0)
        with pytest.raises(LineFull):
            await turn.take(lambda _: None).__aenter__()
    await waiting
