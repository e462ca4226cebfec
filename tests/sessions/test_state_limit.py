"""A state that is larger than it may be: the cell says so, and the session stands where it stood."""

import json
from collections.abc import Callable

import pytest

from fixtures.broker import Broker

LIMITS = {"state": 3 * 2**20}
BIG = "big = __import__('os').urandom(4 * 2**20)"


def test_a_refused_state_is_told_in_the_cell_and_not_committed(broker: Broker) -> None:
    session_id = broker.create(limits=LIMITS)
    before = broker.execute(session_id, "x = 1").json()["revision"]
    request = {"code": f"x = 2; {BIG}; print('done')"}
    answer = broker.http.post(f"/v1/sessions/{session_id}/execute", json=request)
    events = [json.loads(line) for line in answer.iter_lines()]
    end = events[-1]
    assert (end["status"], end["revision"], len(end["notices"])) == ("ok", before, 1)
    (notice,) = end["notices"]
    assert "'big'" in notice
    assert (end["problem"]["code"], end["problem"]["detail"]) == ("state_too_large", notice)
    shown = [e["content"]["data"]["text/plain"] for e in events if e.get("msg_type") == "display_data"]
    assert shown == [notice]
    again = broker.execute(session_id, "x").json()
    assert (again["status"], again["revision"], again["problem"]["code"]) == ("ok", before, "state_too_large")
    assert broker.execute(session_id, "del big").json()["revision"] == before + 1
    broker.call(session_id, "evict")
    assert broker.text(session_id, "x") == "2"


def test_what_was_refused_is_lost_with_its_worker_and_nothing_else(broker: Broker) -> None:
    session_id = broker.create(limits=LIMITS)
    broker.execute(session_id, "x = 1")
    broker.execute(session_id, f"x = 2; {BIG}")
    broker.call(session_id, "evict")
    assert broker.text(session_id, "x") == "1"


@pytest.mark.parametrize("limit", [-1, 1.5, "much", True])
def test_a_limit_that_is_none_is_refused(broker: Broker, limit: object) -> None:
    answer = broker.http.post("/v1/sessions", json={"limits": {"state": limit}})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


@pytest.mark.parametrize(
    ("limits", "expected"), [({}, 5_000_000), ({"state": 7_000_000}, 7_000_000), ({"state": 0}, 0)]
)
def test_the_limit_travels_to_the_worker(
    make_broker: Callable[..., Broker], limits: dict[str, int], expected: int
) -> None:
    broker = make_broker(state_limit=5_000_000)
    session_id = broker.create(limits=limits)
    find = "import gc; from kernel_broker.worker.worker import Worker; "
    find += "next(it for it in gc.get_objects() if isinstance(it, Worker))._limit"
    assert broker.text(session_id, find) == str(expected)
