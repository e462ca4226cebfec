"""What a cell sees when the store is in trouble: it waits, is told clearly, and nothing is lost."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from fixtures.broker import Broker
from fixtures.redis_server import RedisServer


def test_a_cell_waits_for_a_store_that_comes_back(
    make_redis_server: Callable[..., RedisServer], make_broker: Callable[..., Broker]
) -> None:
    redis = make_redis_server()
    broker = make_broker(redis.url, patience=30)
    session_id = broker.create()
    assert broker.text(session_id, "x = 41; x") == "41"
    redis.stop()
    back = threading.Timer(1.0, redis.start)
    back.start()
    assert broker.text(session_id, "x + 1") == "42"
    back.join()
    broker.call(session_id, "evict")
    assert broker.text(session_id, "x") == "41"


def test_a_store_that_stays_away_is_a_clear_error_and_the_session_goes_on_when_it_is_back(
    make_redis_server: Callable[..., RedisServer], make_broker: Callable[..., Broker]
) -> None:
    redis = make_redis_server()
    broker = make_broker(redis.url, patience=0.5)
    session_id = broker.create()
    broker.text(session_id, "x = 1")
    redis.stop()
    answer = broker.execute(session_id, "x = 2")
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert broker.http.get("/readyz").status_code == 503
    assert broker.http.get("/livez").status_code == 200
    redis.start()
    assert broker.text(session_id, "x") in ("1", "2")
    broker.call(session_id, "evict")
    assert broker.text(session_id, "x") in ("1", "2")


def test_a_state_that_could_not_be_saved_is_told_and_saved_with_the_next_cell(
    make_redis_server: Callable[..., RedisServer], make_broker: Callable[..., Broker]
) -> None:
    redis = make_redis_server()
    broker = make_broker(redis.url, patience=0.5)
    session_id = broker.create()
    broker.text(session_id, "import threading; x = 1")
    request = {"code": "print('on', flush=True)\nx = input()", "allow_stdin": True}
    with broker.http.stream("POST", f"/v1/sessions/{session_id}/execute", json=request) as answer:
        for line in answer.iter_lines():
            if '"input_request"' in line:
                redis.stop()
                broker.post_input(session_id, "typed")
            if '"execute_reply"' in line:
                assert "StoreUnavailable" in line
    redis.start()
    assert broker.text(session_id, "x") == "'typed'"
    broker.call(session_id, "evict")
    assert broker.text(session_id, "x") == "'typed'"


def run(broker: Broker, session_id: str, code: str, **body: Any) -> Iterator[dict[str, Any]]:
    """A cell's events as they come, on a connection of its own."""
    request = {"code": code, "allow_stdin": True, **body}
    with httpx.stream(
        "POST", f"{broker.url}/v1/sessions/{session_id}/execute", json=request, timeout=60
    ) as answer:
        yield from map(json.loads, answer.iter_lines())


def test_a_large_state_that_could_not_be_saved_is_saved_with_the_next_cell(
    make_redis_server: Callable[..., RedisServer], make_broker: Callable[..., Broker]
) -> None:
    redis = make_redis_server()
    broker = make_broker(redis.url, patience=0.5)
    session_id = broker.create()
    end: dict[str, Any] = {}
    for end in run(broker, session_id, "import os; x = input(); big = os.urandom(20 * 2**20)"):
        if end.get("msg_type") == "input_request":
            redis.stop()
            broker.post_input(session_id, "typed")
    assert end["problem"]["code"] == "store_unavailable"
    redis.start()
    assert broker.text(session_id, "x, len(big)") == "('typed', 20971520)"
    broker.call(session_id, "evict")
    assert broker.text(session_id, "x, len(big)") == "('typed', 20971520)"


def test_a_commit_that_was_made_though_nobody_heard_is_no_conflict(
    make_redis_server: Callable[..., RedisServer], make_broker: Callable[..., Broker]
) -> None:
    redis = make_redis_server()
    broker = make_broker(redis.url, patience=0.5)
    session_id = broker.create()
    end: dict[str, Any] = {}
    for end in run(broker, session_id, "x = input()"):
        if end.get("msg_type") == "input_request":
            redis.freeze()
            broker.post_input(session_id, "typed")
    redis.thaw()
    assert end["problem"]["code"] == "store_unavailable"
    assert broker.text(session_id, "x") == "'typed'"
    assert broker.call(session_id, "evict").json()["revision"] == 2
    assert broker.text(session_id, "x") == "'typed'"


def test_a_restart_while_the_session_wakes_gives_a_fresh_namespace(
    make_redis_server: Callable[..., RedisServer], make_broker: Callable[..., Broker]
) -> None:
    redis = make_redis_server()
    broker = make_broker(redis.url)
    session_id = broker.create()
    broker.text(session_id, "x = 1")
    broker.call(session_id, "evict")
    redis.stop()
    cell = run(broker, session_id, "x")
    waiting = next(event for event in cell if event["event"] == "queued")
    assert waiting["reason"] == "the store does not answer"
    restarting = threading.Thread(target=broker.call, args=(session_id, "restart"))
    restarting.start()
    redis.start()
    ends = [event for event in cell if event["event"] == "end"]
    restarting.join()
    assert ends[0]["status"] in ("failed", "ok")  # the restart came before the cell's turn, or after it
    assert broker.execute(session_id, "x").json()["error"]["ename"] == "NameError"


def test_a_cell_that_waits_for_the_store_can_be_interrupted(
    make_redis_server: Callable[..., RedisServer], make_broker: Callable[..., Broker]
) -> None:
    redis = make_redis_server()
    broker = make_broker(redis.url)
    session_id = broker.create()
    broker.text(session_id, "ran = False")
    redis.stop()
    cell = run(broker, session_id, "ran = True")
    next(event for event in cell if event["event"] == "queued")
    assert broker.call(session_id, "interrupt").status_code == 204
    redis.start()
    assert [event["problem"]["code"] for event in cell if event["event"] == "end"] == ["run_lost"]
    assert broker.text(session_id, "ran") == "False"


def test_a_cell_over_its_time_whose_state_waits_for_the_store_is_saved_before_the_next_one(
    make_redis_server: Callable[..., RedisServer], make_broker: Callable[..., Broker]
) -> None:
    redis = make_redis_server()
    broker = make_broker(redis.url)
    session_id = broker.create()
    broker.text(session_id, "x = 1")
    end: dict[str, Any] = {}
    for end in run(broker, session_id, "x = input()", timeout=1):
        if end.get("msg_type") == "input_request":
            redis.stop()
            broker.post_input(session_id, "typed")
            back = threading.Timer(7, redis.start)  # after the timeout and the grace of its interrupt
            back.start()
    back.join()
    assert end["problem"]["code"] == "cell_timeout"
    assert end["revision"] == 2
    assert broker.text(session_id, "x") == "'typed'"
