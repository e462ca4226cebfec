"""What changes between runs, or is seen only at a second look, is committed all the same; or not at all."""

import signal
from collections.abc import Callable
from itertools import takewhile
from threading import Event
from typing import Any

import pytest

from fixtures.broker import Broker
from fixtures.redis_server import RedisServer

BLIND = """
from kernel_broker.worker.state.engine import StateEngine
from kernel_broker.worker.state.delta import Delta
StateEngine.look = StateEngine.capture
StateEngine.verify = lambda self, sink, stop: self.look(sink, everything=True)
def capture(self, sink, everything=False):
    self._pending = self._committed
    return Delta()
StateEngine.capture = capture
"""
"""The quick look sees nothing from now on."""


LATER = """
from kernel_broker.worker.state.engine import StateEngine
from kernel_broker.worker.state.errors import GivenUp
def once(verify):
    def give_up(self, sink, stop):
        StateEngine.verify = verify
        raise GivenUp
    return give_up
StateEngine.verify = once(StateEngine.verify)
"""
"""The next look at everything is given up, as if a request had come."""

FOREVER = iter(int, 1)


def session(broker: Broker, session_id: str) -> dict[str, Any]:
    return dict(broker.http.get(f"/v1/sessions/{session_id}").json())


def wait_for_revision(broker: Broker, session_id: str, revision: int) -> None:
    list(takewhile(lambda _: session(broker, session_id)["revision"] < revision, FOREVER))


def metric(broker: Broker, name: str) -> float:
    lines = broker.http.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"serverless_kernel_{name}"))


def amendments(broker: Broker) -> float:
    return metric(broker, "amendments_t")


def test_a_change_that_the_quick_look_misses_is_committed_when_nobody_works(
    make_broker: Callable[..., Broker],
) -> None:
    broker = make_broker(verify_idle=0.05)
    session_id = broker.create()
    assert broker.text(session_id, BLIND + "x = 'seen'; x") == "'seen'"
    wait_for_revision(broker, session_id, 2)
    assert amendments(broker) == 1
    broker.stop(signal.SIGKILL)
    broker.start()
    assert broker.text(session_id, "x") == "'seen'"


def test_a_look_at_everything_that_was_cut_short_is_counted(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(verify_idle=0.001)
    session_id = broker.create()
    broker.text(session_id, LATER + "1")
    list(
        takewhile(
            lambda _: broker.text(session_id, "1") and not metric(broker, "verifications_given_up_t"), FOREVER
        )
    )
    assert metric(broker, "verifications_given_up_t") == 1


@pytest.mark.parametrize("moment", [0, 0.02, 0.05, 0.1, 0.2])
def test_a_broker_that_is_killed_while_it_amends_leaves_all_of_it_or_nothing(
    make_broker: Callable[..., Broker], moment: float
) -> None:
    broker = make_broker(verify_idle=0.001)
    session_id = broker.create()
    broker.text(session_id, BLIND + "n, a = 1, __import__('os').urandom(2**23); 0")
    Event().wait(moment)
    broker.stop(signal.SIGKILL)
    broker.start()
    found = broker.text(session_id, "globals().get('n'), len(globals().get('a', b''))")
    assert found in ("(1, 8388608)", "(None, 0)")


def test_what_a_thread_changes_after_the_cell_is_committed(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(verify_idle=0.5)
    session_id = broker.create()
    broker.text(session_id, "import threading; x = []; threading.Timer(0.05, x.append, ['later']).start(); 0")
    wait_for_revision(broker, session_id, 2)
    broker.stop(signal.SIGKILL)
    broker.start()
    assert broker.text(session_id, "x") == "['later']"


def test_a_capture_that_fails_is_made_good_by_the_next(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(verify_idle=0)
    session_id = broker.create()
    broker.text(session_id, "x = 1; y = [1]; big = bytes(2**21); 0")
    fails = "from kernel_broker.worker.state.engine import StateEngine as S; t = S._capture\n"
    fails += "def fail(*_):\n    S._capture = t\n    raise RuntimeError('once')\n"
    fails += "S._capture = fail; x = 2; del y; 0"
    assert "once" in broker.text(session_id, fails)
    assert broker.text(session_id, "del t, S, fail; big = 0; x") == "2"
    broker.call(session_id, "evict")
    assert broker.text(session_id, "x, 'y' in globals()") == "(2, False)"


def test_what_is_unchanged_is_no_revision(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(verify_idle=0)
    session_id = broker.create()
    broker.text(session_id, "import random; x = {1, 'a', (2, 3)}; y = [x, x]; f = lambda: x; random.random()")
    assert broker.call(session_id, "evict").json()["revision"] == 1
    assert amendments(broker) == 0


@pytest.mark.parametrize("end", ["evict", "idle", "drain"])
def test_a_worker_is_asked_for_all_it_has_before_it_is_dropped(
    make_broker: Callable[..., Broker], end: str
) -> None:
    broker = make_broker(verify_idle=0, **({"worker_idle": 0.3} if end == "idle" else {}))
    session_id = broker.create()
    broker.text(session_id, BLIND + "x = 'seen'; x")
    if end == "evict":
        assert broker.call(session_id, "evict").json()["revision"] == 2
    elif end == "idle":
        wait_for_revision(broker, session_id, 2)
    else:
        assert broker.stop(signal.SIGTERM) == 0
        broker.start()
    assert broker.text(session_id, "x") == "'seen'"


def test_an_amendment_and_cells_that_come_meanwhile_keep_their_order(
    make_broker: Callable[..., Broker],
) -> None:
    broker = make_broker(verify_idle=0.001)
    session_id = broker.create()
    broker.text(session_id, BLIND + "a = bytearray(2**24); n = 0")
    for number in range(1, 30):
        assert broker.text(session_id, f"n += 1; a[{number}] = n; n") == str(number)
    revision = broker.call(session_id, "evict").json()["revision"]
    assert revision >= 31
    assert broker.text(session_id, "n, sum(a)") == f"(29, {sum(range(30))})"


def test_an_amendment_that_could_not_be_stored_is_not_lost(
    make_redis_server: Callable[..., RedisServer], make_broker: Callable[..., Broker]
) -> None:
    redis = make_redis_server()
    broker = make_broker(redis.url, verify_idle=0.2, patience=0.3)
    session_id = broker.create()
    broker.text(session_id, BLIND + "x = 'seen'; x")
    redis.stop()
    list(takewhile(lambda _: "could not be committed" not in broker.log.read_text(), FOREVER))
    redis.start()
    assert broker.text(session_id, "x") == "'seen'"
    broker.call(session_id, "evict")
    assert broker.text(session_id, "x") == "'seen'"


def test_a_worker_that_dies_when_it_is_asked_is_dropped_all_the_same(
    make_broker: Callable[..., Broker],
) -> None:
    broker = make_broker(verify_idle=0)
    session_id = broker.create()
    broker.text(session_id, "x = 1")
    broker.text(session_id, BLIND + "StateEngine.verify = lambda *_: __import__('os')._exit(3); x")
    assert broker.call(session_id, "evict").json()["state"] == "cold"
    assert broker.text(session_id, "x") == "1"
