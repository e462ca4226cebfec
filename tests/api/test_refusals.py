"""What the broker says to requests it cannot carry out: a problem document that says what to do."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from fixtures.broker import Broker

JSON = {"Content-Type": "application/json"}


def refusal(answer: httpx.Response) -> tuple[int, str]:
    document = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert document["status"] == answer.status_code
    assert document["detail"]
    return answer.status_code, document["code"]


MALFORMED = {
    "no JSON": (b"{", (400, "bad_request")),
    "not UTF-8": (b'{"code": "\xff\xfe"}', (400, "bad_request")),
    "a lone surrogate": (b'{"code": "\\ud800"}', (422, "invalid")),
    "no code": (b"{}", (422, "invalid")),
    "an array": (b"[]", (422, "invalid")),
    "a number for code": (b'{"code": 1}', (422, "invalid")),
    "an unknown member": (b'{"code": "1", "kode": 1}', (422, "invalid")),
    "a run id that is a path": (b'{"code": "1", "run_id": "../x"}', (422, "invalid")),
    "a timeout of nothing": (b'{"code": "1", "timeout": 0}', (422, "invalid")),
    "a timeout of NaN": (b'{"code": "1", "timeout": NaN}', (422, "invalid")),
    "nested without end": (b"[" * 100_000, (400, "bad_request")),
}


@pytest.mark.parametrize(("body", "expected"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_cell(broker: Broker, body: bytes, expected: tuple[int, str]) -> None:
    session_id = broker.create()
    answer = broker.http.post(f"/v1/sessions/{session_id}/execute", content=body, headers=JSON)
    assert refusal(answer) == expected
    assert broker.text(session_id, "1") == "1"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""), ("DELETE", ""), ("POST", "/execute"), ("POST", "/messages"), ("POST", "/interrupt"),
        ("POST", "/restart"), ("POST", "/evict"), ("POST", "/input"), ("GET", "/runs/r"),
    ],
)  # fmt: skip
def test_an_unknown_session(broker: Broker, method: str, path: str) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "/execute": {"code": "1"},
        "/messages": {"msg_type": "kernel_info_request"},
        "/input": {"value": ""},
    }
    answer = broker.http.request(method, f"/v1/sessions/nobody{path}", json=bodies.get(path))
    assert refusal(answer) == (404, "session_not_found")


def test_an_unknown_run_route_and_method(broker: Broker) -> None:
    session_id = broker.create()
    assert refusal(broker.http.get(f"/v1/sessions/{session_id}/runs/none")) == (404, "run_not_found")
    assert refusal(broker.http.get("/v2/anything")) == (404, "not_found")
    assert refusal(broker.http.put("/v1/sessions")) == (405, "method_not_allowed")


def test_an_oversized_body(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(request_bytes=10_000)
    session_id = broker.create()
    path = f"/v1/sessions/{session_id}/execute"
    assert refusal(broker.http.post(path, json={"code": "#" * 20_000})) == (413, "too_large")
    in_pieces = (b'{"code":"' if i == 0 else b"#" * 1000 for i in range(20))
    assert refusal(broker.http.post(path, content=in_pieces, headers=JSON)) == (413, "too_large")
    assert broker.text(session_id, "1") == "1"


def test_a_token_opens_everything_and_nothing_opens_without(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(token="s3cret")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic czNjcmV0"}):
        for path in ("/v1/sessions", "/v1/runtime", "/v1/sessions/x"):
            assert refusal(broker.http.get(path, headers=headers)) == (401, "unauthorized")
    good = broker.http.get("/v1/sessions", headers={"Authorization": "Bearer s3cret"})
    assert good.json() == {"sessions": []}
    assert "s3cret" not in broker.log.read_text()


def test_an_existing_session_is_returned_as_it_is(broker: Broker) -> None:
    first = broker.http.post("/v1/sessions", json={"session_id": "mine", "name": "first"})
    second = broker.http.post("/v1/sessions", json={"session_id": "mine", "name": "second"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["name"] == "first"
    assert first.headers["Location"] == "/v1/sessions/mine"
    assert broker.http.delete("/v1/sessions/mine").status_code == 204
    assert refusal(broker.http.get("/v1/sessions/mine")) == (404, "session_not_found")


def test_environment_and_directory_are_the_sessions_own(broker: Broker, tmp_path: Any) -> None:
    session_id = broker.create(env={"COLOUR": "blue"}, cwd=str(tmp_path))
    shown = broker.text(session_id, "import os; print(os.environ['COLOUR'], os.getcwd())")
    assert shown == f"blue {tmp_path}\n"
    missing = broker.create(cwd="/no/such/place")
    result = broker.execute(missing, "1").json()
    assert "/no/such/place" in result["outputs"][0]["text"]
    assert result["status"] == "ok"


def test_health_and_metrics(broker: Broker) -> None:
    assert broker.http.get("/livez").json()["status"] == "ok"
    assert broker.http.get("/readyz").json()["status"] == "ok"
    broker.text(broker.create(), "1")
    metrics = broker.http.get("/metrics").text
    assert 'serverless_kernel_sessions{state="warm"}' in metrics
    assert 'serverless_kernel_runs_total{status="ok"}' in metrics


def test_half_a_surrogate_pair_in_a_header_harms_nobody(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker()
    session_id, other = broker.create(), broker.create()
    body = b'{"code": "1", "header": {"msg_id": "\\ud800"}}'
    headers = JSON | {"Accept": "application/json"}
    answer = broker.http.post(f"/v1/sessions/{session_id}/execute", content=body, headers=headers)
    assert refusal(answer) == (500, "kernel_failed")
    assert broker.text(session_id, "1") == broker.text(other, "1") == "1"
