"""Streams outlive their connections: whatever happens to one, every event comes once, in order."""

import asyncio
import json

import pytest
from loopback import Answer, LoopbackBroker, Serve, cell, jupyter, nobody, refuse

from kernel_broker.wire.events import to_line
from kernel_manager import (
    ApiError,
    AsyncClient,
    BrokerUnreachable,
    Endpoint,
    LineFull,
    NotFound,
    RunLost,
    StoreUnavailable,
)

RICH = cell(
    ("status", {"execution_state": "busy"}),
    ("stream", {"name": "stdout", "text": "one\n"}),
    ("display_data", {"data": {"text/plain": "x"}, "metadata": {}}),
)
ENDINGS = {
    "eof": Serve,
    "timeout text": lambda until: Serve(until, tail=b"request timeout"),
    "timeout line": lambda until: Serve(until, tail=b"activator request timeout\n"),
    "half a line": lambda until: Serve(until, tail=b'{"event":"message","seq":2,"chan'),
    "half a number": lambda until: Serve(until, tail=b"12"),
    "reset": lambda until: Serve(until, ending="break"),
}


async def collect(client: AsyncClient, **fields: object) -> list[dict]:
    return [event async for event in client.execute("s", "code", **fields)]


def expected(lines: list[bytes]) -> list[dict]:
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_cut_at_every_line(broker: LoopbackBroker, ending: str) -> None:
    broker.lines = RICH
    async with AsyncClient(broker.endpoint) as client:
        for until in range(len(RICH)):
            broker.acts.append(ENDINGS[ending](until))
            assert await collect(client, run_id=f"run-{until}") == expected(RICH)
    posts = [body["run_id"] for method, _, body in broker.requests if method == "POST"]
    # Once `accepted` has come, the cell is never posted again.
    assert posts == ["run-0", *(f"run-{until}" for until in range(len(RICH)))]


async def test_cut_before_every_line_in_turn(broker: LoopbackBroker) -> None:
    broker.lines = RICH
    broker.acts.extend(Serve(until) for until in range(1, len(RICH)))
    async with AsyncClient(broker.endpoint) as client:
        assert await collect(client) == expected(RICH)
    assert broker.count("GET", "/runs/") == len(RICH) - 1


async def test_lines_seen_before_are_not_told_twice(broker: LoopbackBroker) -> None:
    again = to_line("accepted", 0, session_id="s", run_id="r", revision=4)
    broker.lines = [RICH[0], RICH[1], again, RICH[1], *RICH[2:]]
    async with AsyncClient(broker.endpoint) as client:
        assert await collect(client) == expected(RICH)


async def test_silence_is_a_cut(broker: LoopbackBroker) -> None:
    broker.acts.append(Serve(2, ending="hang"))
    async with AsyncClient(broker.endpoint, silence=0.1) as client:
        assert await collect(client) == expected(broker.lines)
    assert broker.count("GET", "/runs/") == 1


async def test_heartbeats_pass_through_and_do_not_advance(broker: LoopbackBroker) -> None:
    beat = to_line("heartbeat", 1)
    broker.acts.append(Serve(2, tail=beat + beat))
    async with AsyncClient(broker.endpoint) as client:
        events = await collect(client)
    assert [event["event"] for event in events].count("heartbeat") == 2
    assert [e for e in events if e["event"] != "heartbeat"] == expected(broker.lines)


async def test_streams_that_only_beat_are_paced_and_survive(broker: LoopbackBroker) -> None:
    beat = to_line("heartbeat", 1)
    broker.acts.extend([Serve(2)] + [Serve(0, tail=beat)] * 3)
    async with AsyncClient(broker.endpoint) as client:
        events = await collect(client)
    assert events[-1]["event"] == "end"
    assert "waiting" in [event["event"] for event in events], "a stream that brings nothing is not hammered"


async def test_empty_streams_end_with_patience(broker: LoopbackBroker) -> None:
    broker.acts.extend([Serve(1)] + [Serve(0)] * 100)
    async with AsyncClient(broker.endpoint, patience=0.2) as client:
        with pytest.raises(BrokerUnreachable):
            await collect(client)
    assert len(broker.acts) > 80


async def test_separators_of_unicode_and_big_buffers_stay_whole(broker: LoopbackBroker) -> None:
    text = "a\u2028b\x85c\x1cd\u2029\x0be"
    line = jupyter(1, "stream", {"name": "stdout", "text": text}, buffers=["QUJD" * 2**20])
    broker.lines = [RICH[0], line, to_line("end", 2, status="ok")]
    async with AsyncClient(broker.endpoint) as client:
        events = await collect(client)
    assert events == expected(broker.lines)


async def test_unavailable_is_waited_out_visibly(broker: LoopbackBroker) -> None:
    broker.acts.extend([refuse("store_unavailable", retry_after=0), refuse("starting"), refuse("starting")])
    async with AsyncClient(broker.endpoint) as client:
        events = await collect(client)
    waiting = [event for event in events if event["event"] == "waiting"]
    assert waiting
    assert all(event["seq"] == -1 for event in waiting)
    assert "test: starting" in [event["reason"] for event in waiting]
    assert [e for e in events if e["event"] != "waiting"] == expected(broker.lines)
    assert len(broker.runs) == 1


async def test_retry_after_of_the_header_counts(broker: LoopbackBroker) -> None:
    problem = json.dumps({"code": "draining", "detail": "going"}).encode()
    broker.acts.append(Answer(503, problem, {"retry-after": "600"}))
    async with AsyncClient(broker.endpoint) as client:
        stream = client.execute("s", "code")
        event = await anext(stream)
        assert event["event"] == "waiting"
        resumed = asyncio.ensure_future(anext(stream))
        await asyncio.wait([resumed], timeout=0.2)
        assert not resumed.done(), "it waits as long as it was told to"
        resumed.cancel()
        await asyncio.wait([resumed])


async def test_patience_over_raises_what_the_broker_said(broker: LoopbackBroker) -> None:
    broker.acts.extend([refuse("store_unavailable")] * 50)
    async with AsyncClient(broker.endpoint, patience=0.1) as client:
        with pytest.raises(StoreUnavailable, match="test: store_unavailable"):
            await collect(client)
    assert broker.runs == []


async def test_patience_over_with_nobody_there() -> None:
    async with AsyncClient(nobody(), patience=0.1) as client:
        with pytest.raises(BrokerUnreachable, match="cannot connect") as caught:
            await collect(client)
    assert "not known" not in str(caught.value), "nothing was sent"


async def test_full_line_is_refused_at_once(broker: LoopbackBroker) -> None:
    broker.acts.append(refuse("line_full", retry_after=3))
    async with AsyncClient(broker.endpoint) as client:
        with pytest.raises(LineFull) as caught:
            await collect(client)
    assert caught.value.retry_after == 3
    assert broker.count("POST", "/execute") == 1


async def test_proxy_errors_are_waited_out_with_the_same_run(broker: LoopbackBroker) -> None:
    broker.acts.extend([Answer(502, b"bad gateway"), Answer(504, b"upstream timeout")])
    async with AsyncClient(broker.endpoint) as client:
        events = await collect(client, run_id="mine")
    assert events[-1]["event"] == "end"
    posts = [body["run_id"] for method, _, body in broker.requests if method == "POST"]
    assert posts == ["mine"] * 3


@pytest.mark.parametrize("code", ["run_not_found", "run_lost"])
async def test_forgotten_run_is_lost_and_names_the_revision(broker: LoopbackBroker, code: str) -> None:
    broker.acts.extend([Serve(2), refuse(code)])
    broker.revision = 4
    async with AsyncClient(broker.endpoint) as client:
        with pytest.raises(RunLost, match="revision 4, as before it") as caught:
            await collect(client, run_id="mine")
    assert (caught.value.run_id, caught.value.revision, caught.value.started_from) == ("mine", 4, 4)
    assert broker.count("POST", "/execute") == 1


async def test_run_lost_before_its_first_line(broker: LoopbackBroker) -> None:
    broker.acts.extend([Serve(0), refuse("run_lost")])
    async with AsyncClient(broker.endpoint) as client:
        with pytest.raises(RunLost, match="revision 5"):
            await collect(client)


async def test_broker_restarted_elsewhere_mid_stream() -> None:
    lines = RICH
    with LoopbackBroker(lines) as first, LoopbackBroker(lines) as second:
        first.acts.append(Serve(3, ending="break"))
        second.runs.append("mine")
        endpoints = [first.endpoint, second.endpoint]

        async def connect() -> Endpoint:
            return endpoints.pop(0)

        async with AsyncClient(connect) as client:
            assert await collect(client, run_id="mine") == expected(lines)
        assert second.count("POST", "/execute") == 0
        assert second.requests[0][1].endswith("/runs/mine")


async def test_attach_from_a_number_and_to_an_unknown_run(broker: LoopbackBroker) -> None:
    broker.lines = RICH
    broker.runs.append("mine")
    async with AsyncClient(broker.endpoint) as client:
        assert [event async for event in client.attach("s", "mine", 2)] == expected(RICH)[3:]
        with pytest.raises(NotFound):
            await anext(client.attach("s", "other"))


async def test_message_that_changes_things_is_looked_for_and_not_repeated(broker: LoopbackBroker) -> None:
    body = {"channel": "shell", "msg_type": "comm_msg", "content": {}}
    async with AsyncClient(broker.endpoint) as client:
        broker.acts.append(Serve(0))
        events = [event async for event in client.message("s", body)]
        assert events == expected(broker.lines), "it had arrived: its run is known by the message's id"
        broker.acts.append(Answer(502))
        with pytest.raises(BrokerUnreachable, match="not known"):
            await anext(client.message("s", body))
    assert broker.count("POST", "/messages") == 2


async def test_query_is_repeated(broker: LoopbackBroker) -> None:
    broker.acts.append(Answer(502))
    body = {"channel": "shell", "header": {"msg_type": "complete_request"}, "content": {}}
    async with AsyncClient(broker.endpoint) as client:
        events = [event async for event in client.message("s", body)]
    assert events == expected(broker.lines)
    assert broker.count("POST", "/messages") == 2


async def test_redirect_or_foreign_page_is_an_error_not_a_stream(broker: LoopbackBroker) -> None:
    broker.acts.append(Answer(404, b"no such page"))
    async with AsyncClient(broker.endpoint) as client:
        with pytest.raises(ApiError, match="HTTP 404 without a problem document"):
            await collect(client)


async def test_reader_that_leaves_closes_its_connection(broker: LoopbackBroker) -> None:
    broker.acts.append(Serve(2, ending="hang"))
    async with AsyncClient(broker.endpoint) as client:
        stream = client.execute("s", "code")
        assert (await anext(stream))["event"] == "accepted"
        await stream.aclose()
        assert [event async for event in client.attach("s", broker.runs[0])] == expected(broker.lines)


async def test_connection_is_used_again_after_a_whole_stream(broker: LoopbackBroker) -> None:
    async with AsyncClient(broker.endpoint) as client:
        for _ in range(5):
            assert (await collect(client))[-1]["event"] == "end"
        await client.session("s")
    assert len(broker.peers) == 1


async def test_body_that_stays_open_after_its_end_is_left(broker: LoopbackBroker) -> None:
    broker.acts.append(Serve(ending="hang"))
    async with AsyncClient(broker.endpoint) as client:
        assert await collect(client) == expected(broker.lines)


async def test_text_after_the_end_is_nothing_to_us(broker: LoopbackBroker) -> None:
    broker.acts.append(Serve(tail=b"request timeout"))
    async with AsyncClient(broker.endpoint) as client:
        assert await collect(client) == expected(broker.lines)
    assert broker.count("GET", "/runs/") == 0


async def test_lone_surrogate_reaches_the_broker(broker: LoopbackBroker) -> None:
    async with AsyncClient(broker.endpoint) as client:
        assert [event["event"] async for event in client.execute("s", "'\ud800'")][-1] == "end"
    assert broker.requests[0][2]["code"] == "'\ud800'"
