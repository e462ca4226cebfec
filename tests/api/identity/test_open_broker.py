"""A broker that asks for no token, on the loopback: for programs of this machine, not for web pages."""

from collections.abc import Iterator

import httpx
import pytest

from fixtures.broker import Broker


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8080", "[::1]:8080", "127.8.8.8"])
def test_programs_of_this_machine_are_let_in(broker: Broker, host: str) -> None:
    assert broker.http.get("/v1/sessions", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example.org"},  # whose name means this address, for once
        {"Host": "evil.example.org:8080", "Origin": "http://evil.example.org:8080"},
        {"Host": "[::1"},
        {"Host": ""},
        {"Origin": "https://evil.example.org"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
    ],
)
def test_web_pages_are_not(broker: Broker, headers: dict[str, str]) -> None:
    answer = broker.http.post("/v1/sessions", headers=headers, json={})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "KERNEL_BROKER_TOKEN" in answer.json()["detail"]


@pytest.fixture(scope="module")
def behind() -> Iterator[Broker]:
    """A broker behind something that decides who may reach it."""
    broker = Broker(preload="", spares=1, auth="none", log_level="error")
    try:
        yield broker.start()
    finally:
        broker.destroy()


def test_what_is_in_front_may_decide_instead(behind: Broker) -> None:
    headers = {"Host": "kernels.example.org", "Origin": "https://kernels.example.org"}
    assert behind.http.get("/v1/sessions", headers=headers).status_code == 200


def test_the_audit_log_is_written_however_little_else_is(behind: Broker) -> None:
    behind.create(session_id="noted")
    log = behind.log.read_text()
    assert '"call": "POST /v1/sessions", "session": null, "status": 201, "made": "noted"' in log
    assert len(log.splitlines()) == 1


def test_the_broker_s_own_page_is(broker: Broker) -> None:
    origin = {"Origin": str(broker.http.base_url).rstrip("/")}
    assert broker.http.get("/v1/sessions", headers=origin).status_code == 200


def test_nobody_told_apart_is_no_admin(broker: Broker) -> None:
    answer: httpx.Response = broker.http.get("/v1/sessions", params={"owner": "*"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
