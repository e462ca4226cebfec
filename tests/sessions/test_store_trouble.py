"""What a cell sees when the store is in trouble: it waits, is told clearly, and nothing is lost."""

import threading
from collections.abc import Callable

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
