"""Revisions end to end: real workers, both stores; variables, history and big arrays come back."""

import signal
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from fixtures.broker import Broker

BIG = "import numpy as np; big = np.arange(1_000_000)"


@pytest.fixture(params=["sqlite", "redis"])
def fresh(request: pytest.FixtureRequest, make_broker: Callable[..., Broker]) -> Broker:
    """A broker of the test's own, on each store."""
    url = request.getfixturevalue("redis_server").url if request.param == "redis" else None
    return make_broker(url, preload="numpy")


def revisions(broker: Broker, session_id: str) -> list[dict[str, Any]]:
    answer = broker.http.get(f"/v1/sessions/{session_id}/revisions")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["revisions"])


def show(broker: Broker, session_id: str) -> dict[str, Any]:
    return dict(broker.http.get(f"/v1/sessions/{session_id}").json())


def checkout(broker: Broker, session_id: str, revision: int) -> httpx.Response:
    return broker.http.post(f"/v1/sessions/{session_id}/checkout", json={"revision": revision})


def fork(broker: Broker, session_id: str, **body: Any) -> str:
    answer = broker.http.post(f"/v1/sessions/{session_id}/fork", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["session_id"])


def test_a_checkout_brings_everything_back(fresh: Broker) -> None:
    session_id = fresh.create(name="mine")
    fresh.text(session_id, f"{BIG}; x = [1]; y = x")
    then = fresh.execute(session_id, "x.append(2)").json()["revision"]
    fresh.text(session_id, "big[:] = 0; x = None; del y; import os; os.environ['LATER'] = '1'")
    fresh.text(session_id, "new = 1")
    answer = checkout(fresh, session_id, then)
    assert answer.status_code == 200, answer.text
    session = answer.json()
    assert session["revision"] == show(fresh, session_id)["revision"] > then + 2
    assert (session["execution_count"], session["name"], session["state"]) == (2, "mine", "cold")
    code = (
        "print(In[2], x, x is y, int(big.sum()), 'new' in globals(), __import__('os').environ.get('LATER'))"
    )
    result = fresh.execute(session_id, code).json()
    assert result["execution_count"] == 3
    assert result["outputs"][0]["text"] == "x.append(2) [1, 2] True 499999500000 False None\n"


def test_history_stays_linear_and_a_restart_can_be_undone(fresh: Broker) -> None:
    session_id = fresh.create()
    fresh.text(session_id, "x = 1")
    then = fresh.execute(session_id, "x = 2").json()["revision"]
    assert fresh.call(session_id, "restart").json()["execution_count"] == 0
    assert fresh.execute(session_id, "x").json()["status"] == "error"
    assert checkout(fresh, session_id, then).status_code == 200
    assert fresh.text(session_id, "x") == "2"
    numbers = [revision["revision"] for revision in revisions(fresh, session_id)]
    assert numbers == list(range(numbers[-1] + 1))
    assert [revision["head"] for revision in revisions(fresh, session_id)][-2:] == [False, True]


def test_a_revision_names_its_run_and_its_cell(fresh: Broker) -> None:
    session_id = fresh.create()
    fresh.text(session_id, "x = b'1' * 1000")
    made = fresh.execute(session_id, "y = 2", run_id="mine").json()["revision"]
    (revision,) = [one for one in revisions(fresh, session_id) if one["revision"] == made]
    assert (revision["run_id"], revision["execution_count"]) == ("mine", 2)
    assert revision["size"] > 1000


def test_a_checkout_that_cannot_be_is_refused_and_changes_nothing(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(revisions=3, verify_idle=0)
    session_id = broker.create()
    for number in range(5):
        broker.text(session_id, f"x = {number}")
    before = show(broker, session_id)
    answer = checkout(broker, session_id, 1)
    assert (answer.status_code, answer.json()["code"]) == (404, "revision_not_found")
    assert answer.json()["kept"] == [3, 5]
    assert "revisions 3 to 5 are kept" in answer.json()["detail"]
    answer = broker.http.post(f"/v1/sessions/{session_id}/fork", json={"revision": 99})
    assert (answer.status_code, answer.json()["kept"]) == (404, [3, 5])
    assert show(broker, session_id) == before
    assert checkout(broker, "nobody", 1).json()["code"] == "session_not_found"
    assert checkout(broker, session_id, -1).status_code == 422


def test_a_checkout_is_refused_while_a_cell_runs(broker: Broker) -> None:
    session_id = broker.create()
    broker.text(session_id, "x = 1")
    cell = {"code": "print('begun', flush=True); input()", "allow_stdin": True}
    with httpx.stream("POST", f"{broker.url}/v1/sessions/{session_id}/execute", json=cell, timeout=60) as run:
        lines = run.iter_lines()
        assert any("input_request" in line for line in lines)
        refused = checkout(broker, session_id, 1)
        broker.post_input(session_id, "")
        assert any('"end"' in line for line in lines)
    assert (refused.status_code, refused.json()["code"]) == (409, "session_running")
    assert broker.text(session_id, "x") == "1"


def test_a_fork_goes_its_own_way_and_each_outlives_the_other(fresh: Broker) -> None:
    parent = fresh.create(name="parent")
    then = fresh.execute(parent, f"{BIG}; x = ['then']").json()["revision"]
    fresh.text(parent, "x.append('now')")
    child, early = fork(fresh, parent, name="child"), fork(fresh, parent, revision=then)
    session = show(fresh, early)
    assert (session["name"], session["revision"], session["state"]) == ("parent", then, "cold")
    assert session["forked_from"] == {"session_id": parent, "revision": then}
    fresh.text(child, "x.append('child'); big += 1")
    assert fresh.text(parent, "x, int(big[-1])") == "(['then', 'now'], 999999)"
    assert fresh.http.delete(f"/v1/sessions/{parent}").status_code == 204
    assert fresh.text(child, "x, int(big[-1])") == "(['then', 'now', 'child'], 1000000)"
    assert fresh.http.delete(f"/v1/sessions/{child}").status_code == 204
    result = fresh.execute(early, "x, int(big.sum())").json()
    assert result["outputs"][0]["data"]["text/plain"] == "(['then'], 499999500000)"
    assert result["execution_count"] == 2


def test_a_fork_copies_no_chunk(make_broker: Callable[..., Broker], redis_server: Any) -> None:
    broker = make_broker(redis_server.url, preload="numpy")
    parent = broker.create()
    broker.text(parent, BIG)
    with redis_server.client() as client:
        before = client.keys("*:chunk:*")
        child = fork(broker, parent)
        assert broker.text(child, "int(big.sum())") == "499999500000"
        assert client.keys("*:chunk:*") == before
        for session_id in (parent, child):
            broker.http.delete(f"/v1/sessions/{session_id}")
        assert [key for key in client.keys("*") if not key.endswith(b":probe")] == []


def test_a_fork_may_be_asked_for_again(broker: Broker) -> None:
    parent = broker.create()
    broker.text(parent, "x = 1")
    path = f"/v1/sessions/{parent}/fork"
    name = f"fork-of-{parent}"
    assert broker.http.post(path, json={"session_id": name}).status_code == 201
    again = broker.http.post(path, json={"session_id": name})
    assert (again.status_code, again.json()["session_id"]) == (200, name)
    taken = broker.http.post(path, json={"session_id": parent})
    assert (taken.status_code, taken.json()["code"]) == (409, "session_id_taken")


def test_what_is_acknowledged_survives_a_broker_that_is_killed(fresh: Broker) -> None:
    session_id = fresh.create()
    then = fresh.execute(session_id, f"{BIG}; x = 1").json()["revision"]
    fresh.text(session_id, "big[:] = 0; x = 2")
    fresh.stop(signal.SIGKILL)
    fresh.start()
    assert checkout(fresh, session_id, then).status_code == 200
    child = fork(fresh, session_id)
    fresh.stop(signal.SIGKILL)
    fresh.start()
    for one in (session_id, child):
        assert fresh.text(one, "x, int(big.sum())") == "(1, 499999500000)"


def test_old_revisions_hold_no_more_than_their_bytes(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(revisions_bytes=20_000_000, preload="numpy", verify_idle=0)
    session_id = broker.create()
    for number in range(6):
        broker.text(session_id, f"import numpy as np; a = np.random.default_rng({number}).bytes(8_000_000)")
    kept = revisions(broker, session_id)
    assert [revision["revision"] for revision in kept] == [4, 5, 6]
    assert 16_000_000 <= sum(revision["alone"] for revision in kept) <= 20_000_000


def test_magics_show_and_use_the_past(fresh: Broker) -> None:
    session_id = fresh.create()
    then = fresh.execute(session_id, "x = 1").json()["revision"]
    fresh.text(session_id, "x = 2; y = 3")
    table = fresh.text(session_id, "%revisions").splitlines()
    assert table[0].split() == ["revision", "cell", "made", "size", "kept", "for", "it"]
    rows = {int(line.split()[0]): line for line in table[1:]}
    assert "[1]" in rows[then]
    assert rows[max(rows)].endswith("(current)")
    refused = fresh.execute(session_id, "%checkout 99").json()
    assert refused["status"] == "error"
    assert "UsageError: revision 99 is not kept; these are:" in refused["outputs"][0]["text"]
    wanted = fresh.execute(session_id, f"%checkout {then}\nz = 4").json()
    assert wanted["status"] == "ok"
    assert f"goes back to revision {then}" in wanted["outputs"][0]["text"]
    session = show(fresh, session_id)
    assert (session["revision"], session["state"]) == (wanted["revision"], "cold")
    code = "x, 'y' in globals(), 'z' in globals()"
    result = fresh.execute(session_id, code).json()
    assert result["outputs"][0]["data"]["text/plain"] == "(1, False, False)"
    assert result["execution_count"] == 2


def test_a_magic_that_comes_too_late_says_so_and_the_session_stays(
    make_broker: Callable[..., Broker],
) -> None:
    broker = make_broker(revisions=2, verify_idle=0)
    session_id = broker.create()
    broker.text(session_id, "x = 1")
    broker.text(session_id, "x = 2")
    result = broker.execute(session_id, "%checkout 1").json()  # its own commit pushes revision 1 out
    assert result["notices"] == [
        "Serverless Python: the session stays where it is: session "
        f"{session_id!r} does not keep revision 1: revisions 2 to 3 are kept."
    ]
    assert broker.text(session_id, "x") == "2"


def test_variables_are_told_without_a_worker(fresh: Broker) -> None:
    session_id = fresh.create()
    fresh.text(session_id, f"{BIG}; n = 5; a = [1, 2]; b = a")
    fresh.text(session_id, "gen = (i for i in a); next(gen)")
    fresh.http.post(f"/v1/sessions/{session_id}/evict")
    found = {
        it["name"]: it for it in fresh.http.get(f"/v1/sessions/{session_id}/variables").json()["variables"]
    }
    assert {"big", "n", "a", "b", "gen", "np"} == set(found)
    assert found["n"] == {**found["a"], "name": "n", "type": "int", "preview": "5", "size": 0, "shares": []}
    assert found["big"]["size"] > 8_000_000 and found["big"]["preview"] == "1000000 int64"
    assert "b" in found["a"]["shares"] and not found["a"]["pinned"]
    assert found["gen"]["pinned"][0]["cell"] == 2 and found["gen"]["type"] == "generator"
    assert show(fresh, session_id)["state"] == "cold"
