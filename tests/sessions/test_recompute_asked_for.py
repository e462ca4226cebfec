"""Whether lost variables are made again is the session's to say, and its broker's if it says nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from fixtures.broker import Broker
from kernel_broker.options import SettingsError
from kernel_broker.settings import read_settings

Json = dict[str, Any]

MAKE = "import socket\ns = socket.socket()"
TOLD = "Serverless Python: 's' was made again by re-running cell [1]."


def run(broker: Broker, session_id: str, code: str) -> Json:
    return dict(broker.execute(session_id, code).json())


@pytest.mark.parametrize("broker_says", ["on", "off"])
def test_a_session_that_says_nothing_has_what_its_broker_says(
    make_broker: Callable[..., Broker], broker_says: str
) -> None:
    broker = make_broker(recompute=broker_says)
    session_id = broker.create()
    assert broker.http.get(f"/v1/sessions/{session_id}").json()["recompute"] is (broker_says == "on")
    run(broker, session_id, MAKE)
    broker.call(session_id, "evict")
    answer = run(broker, session_id, "print(s.fileno() > 0)")
    if broker_says == "on":
        assert answer["notices"] == [TOLD]
        assert answer["outputs"][0]["text"] == "True\n" and TOLD in str(answer["outputs"][1])
    else:
        assert answer["status"] == "error" and not answer["notices"]


def test_a_session_says_it_for_itself_and_its_forks(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker()
    session_id = broker.create(recompute=True)
    run(broker, session_id, MAKE)
    then = run(broker, session_id, "kept = s.family.name")["revision"]
    run(broker, session_id, "%recompute off")
    forked = broker.http.post(f"/v1/sessions/{session_id}/fork", json={"revision": then}).json()
    assert forked["recompute"] is True
    answer = run(broker, forked["session_id"], "print(s.fileno() > 0)")
    assert answer["notices"] == ["Serverless Python: 's' was made again by re-running cells [1], [2]."]
    (pin,) = broker.http.get(f"/v1/sessions/{forked['session_id']}").json()["pinned"]
    assert (pin["name"], pin["cell"]) == ("s", 1)
    listed = broker.http.get(f"/v1/sessions/{forked['session_id']}/variables").json()["variables"]
    (shown,) = [it for it in listed if it["name"] == "s"]
    assert (shown["type"], shown["cell"], len(shown["pinned"])) == ("socket.socket", 1, 1)
    broker.call(session_id, "evict")
    assert run(broker, session_id, "s.fileno()")["status"] == "error"


def test_a_revision_gone_back_to_makes_what_it_had(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(recompute="on")
    session_id = broker.create()
    run(broker, session_id, "g = (n for n in range(9))")
    then = run(broker, session_id, "next(g)")["revision"]
    run(broker, session_id, "next(g)")
    broker.http.post(f"/v1/sessions/{session_id}/checkout", json={"revision": then}).raise_for_status()
    answer = run(broker, session_id, "print(next(g))")
    assert answer["outputs"][0]["text"] == "1\n"


def test_the_setting_is_on_or_off() -> None:
    with pytest.raises(SettingsError, match="RECOMPUTE must be on or off"):
        read_settings({"KERNEL_BROKER_RECOMPUTE": "yes"})
