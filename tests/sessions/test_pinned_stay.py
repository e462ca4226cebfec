"""A session that holds what cannot be carried stays on its worker for longer."""

from collections.abc import Callable
from itertools import takewhile
from typing import Any

import pytest

from fixtures.broker import Broker


def state(broker: Broker, session_id: str) -> dict[str, Any]:
    return dict(broker.http.get(f"/v1/sessions/{session_id}").json())


PINS = [
    "g = (n for n in [1, 2])",
    "import threading; threading.Thread(target=threading.Event().wait).start()",
]


@pytest.mark.parametrize("make", PINS, ids=["generator", "thread"])
def test_it_outlasts_those_that_hold_nothing(make_broker: Callable[..., Broker], make: str) -> None:
    broker = make_broker(worker_idle=0.5, pinned_idle=3600)
    pinned, other = broker.create(), broker.create()
    broker.execute(pinned, make)
    broker.execute(other, "x = 1")
    list(takewhile(lambda _: state(broker, other)["state"] != "cold", iter(int, 1)))
    kept = state(broker, pinned)
    assert kept["state"] == "warm"
    assert kept["warm_until"] > kept["last_activity"] + 3000
    assert state(broker, other)["warm_until"] is None


def test_it_goes_when_its_time_is_over_too(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(worker_idle=0.1, pinned_idle=0.5)
    session_id = broker.create()
    broker.execute(session_id, PINS[0])
    list(takewhile(lambda _: state(broker, session_id)["state"] != "cold", iter(int, 1)))


def test_it_can_be_evicted_all_the_same(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker()
    session_id = broker.create()
    broker.execute(session_id, PINS[0])
    assert broker.call(session_id, "evict").json()["state"] == "cold"
