"""The run log: every reader gets every line, or is told what it missed."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel_broker.sessions.runlog import RunLog
from kernel_broker.wire.events import read_line, to_line


def fill(log: RunLog, count: int, size: int = 0) -> None:
    for _ in range(count):
        log.append(lambda seq: to_line("x", seq, pad="x" * size))


async def read(log: RunLog, after: int = -1) -> list[dict[str, object]]:
    return [read_line(line) async for piece in log.follow(after) for line in piece.splitlines()]


async def test_readers_before_during_and_after_see_the_same() -> None:
    log = RunLog(2**20)
    early = asyncio.create_task(read(log))
    fill(log, 3)
    await asyncio.sleep(0)
    late = asyncio.create_task(read(log))
    fill(log, 2)
    log.end(lambda seq: to_line("end", seq))
    assert await early == await late == await read(log)
    assert [event["seq"] for event in await read(log)] == [0, 1, 2, 3, 4, 5]


@settings(max_examples=50)
@given(st.integers(1, 60), st.integers(-1, 70))
def test_what_was_dropped_is_marked(count: int, after: int) -> None:
    async def check() -> None:
        log = RunLog(400)
        fill(log, count, size=20)
        log.end(lambda seq: to_line("end", seq))
        events = await read(log, after)
        seen = set()
        for event in events:
            if event["event"] == "dropped":
                seen |= set(range(int(str(event["first"])), int(str(event["last"])) + 1))
            else:
                seen.add(event["seq"])
        assert seen == set(range(after + 1, count + 1))

    asyncio.run(check())


async def test_nothing_is_added_after_the_end() -> None:
    log = RunLog(2**20)
    log.end(lambda seq: to_line("end", seq))
    fill(log, 3)
    assert len(await read(log)) == 1


async def test_the_writer_waits_for_a_slow_reader_and_not_for_one_that_left() -> None:
    log = RunLog(1000)
    reader = log.follow(-1)
    fill(log, 1)
    await anext(reader)
    fill(log, 20, size=60)
    waiting = asyncio.create_task(log.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    await reader.aclose()
    await waiting


async def test_the_writer_waits_only_once_for_a_reader_that_stays_and_does_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kernel_broker.sessions.runlog.STALL_SECONDS", 0.01)
    log = RunLog(1000)
    reader = log.follow(-1)
    fill(log, 1)
    await anext(reader)
    fill(log, 20, size=60)
    await log.room()
    fill(log, 20, size=60)
    monkeypatch.setattr("kernel_broker.sessions.runlog.STALL_SECONDS", 1000)
    await log.room()
    log.end(lambda seq: to_line("end", seq))
    assert [read_line(piece.splitlines()[-1])["event"] async for piece in reader] == ["dropped", "end"]


async def test_a_stored_tail_is_followed_like_the_log_itself() -> None:
    log = RunLog(2**20)
    fill(log, 10)
    log.end(lambda seq: to_line("end", seq))
    whole = await read(log)
    tail = RunLog.restored(log.tail(200))
    again = await read(tail)
    assert again[0]["event"] == "dropped"
    assert again[1:] == whole[-len(again) + 1 :]
    assert await read(RunLog.restored(log.tail(2**20))) == whole


async def test_silence_is_filled_with_heartbeats_that_repeat_the_last_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kernel_broker.sessions.runlog.HEARTBEAT_SECONDS", 0.01)
    log = RunLog(2**20)
    fill(log, 2)
    events = [read_line(line) async for piece, _ in _first(log.follow(-1), 2) for line in piece.splitlines()]
    assert [(event["event"], event["seq"]) for event in events] == [("x", 0), ("x", 1), ("heartbeat", 1)]


async def _first(stream: AsyncIterator[bytes], count: int) -> AsyncIterator[tuple[bytes, int]]:
    for number in range(count):
        yield await anext(stream), number
