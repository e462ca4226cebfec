"""A broker that is told to stop lets running cells end, commits them, and goes."""

import signal
import threading
from collections.abc import Callable

import httpx

from fixtures.broker import Broker
from fixtures.redis_server import RedisServer


def run_until_it_prints(broker: Broker, session_id: str, code: str) -> None:
    """Start a cell and leave it alone once it has printed."""
    request = {"code": code, "run_id": "r"}
    with broker.http.stream("POST", f"/v1/sessions/{session_id}/execute", json=request) as answer:
        next(line for line in answer.iter_lines() if '"stream"' in line)


def test_a_cell_nobody_watches_ends_and_is_committed_before_the_broker_goes(
    make_broker: Callable[..., Broker],
) -> None:
    broker = make_broker(grace=30)
    session_id = broker.create()
    run_until_it_prints(broker, session_id, "import time; print('on', flush=True); time.sleep(1); x = 'done'")
    assert broker.stop(signal.SIGTERM) == 0
    broker.start()
    assert broker.text(session_id, "x") == "'done'"


def test_a_cell_that_outlasts_the_grace_is_given_up_and_told_lost(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(grace=1)
    session_id = broker.create()
    broker.text(session_id, "x = 1")
    run_until_it_prints(broker, session_id, "import time; print('on', flush=True); x = 2; time.sleep(60)")
    assert broker.stop(signal.SIGTERM) == 0
    broker.start()
    lost = broker.http.get(f"/v1/sessions/{session_id}/runs/r")
    assert (lost.status_code, lost.json()["code"]) == (409, "run_lost")
    assert broker.text(session_id, "x") == "1"


def test_readers_hear_the_end_of_what_the_shutdown_stops(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(grace=1)
    running, background = broker.create(), broker.create()
    thread = "import threading, time; threading.Thread(target=time.sleep, args=(600,)).start()"
    broker.text(background, thread)
    request = {"code": "print('on', flush=True)\nwhile True: pass"}
    with (
        httpx.stream("POST", f"{broker.url}/v1/sessions/{running}/execute", json=request) as cell,
        httpx.stream("GET", f"{broker.url}/v1/sessions/{background}/runs/background") as stray,
    ):
        lines = cell.iter_lines()
        next(line for line in lines if '"stream"' in line)
        stopping = threading.Thread(target=broker.stop)
        stopping.start()
        assert '"event":"end"' in list(lines)[-1]
        assert '"event":"end"' in list(stray.iter_lines())[-1]
        stopping.join()


def test_an_idle_broker_ends_itself_and_one_with_a_running_cell_does_not(
    make_broker: Callable[..., Broker],
) -> None:
    broker = make_broker(idle_exit=1)
    session_id = broker.create()
    run_until_it_prints(broker, session_id, "import time; print('on', flush=True); time.sleep(3); x = 'done'")
    assert broker.wait_exit() == 0
    broker.start()
    assert broker.text(session_id, "x") == "'done'"


def test_what_is_not_kept_of_a_run_is_named_to_whoever_sends_it_again(
    make_broker: Callable[..., Broker],
) -> None:
    broker = make_broker()
    session_id = broker.create()
    code = "for i in range(3000): print(i, flush=True)"
    broker.execute(session_id, code, run_id="r")
    broker.stop(signal.SIGKILL)
    broker.start()
    request = {"code": code, "run_id": "r"}
    answer = broker.http.post(f"/v1/sessions/{session_id}/execute", json=request)
    assert '"event":"dropped"' in answer.text
    outputs = broker.execute(session_id, code, run_id="r").json()["outputs"]
    assert "not kept" in outputs[0]["text"]
    assert outputs[-1]["text"].endswith("2999\n")


def test_a_session_that_cannot_be_let_go_does_not_cut_short_the_cell_of_another(
    make_redis_server: Callable[..., RedisServer], make_broker: Callable[..., Broker]
) -> None:
    redis = make_redis_server()
    broker = make_broker(redis.url)
    idle, busy = broker.create(), broker.create()
    broker.text(idle, "1")
    run_until_it_prints(broker, busy, "import time; print('on', flush=True); time.sleep(2); x = 'done'")
    redis.stop()
    back = threading.Timer(1, redis.start)
    back.start()
    assert broker.stop(signal.SIGTERM) == 0
    back.join()
    broker.start()
    assert broker.text(busy, "x") == "'done'"
