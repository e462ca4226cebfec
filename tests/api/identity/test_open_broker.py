"""A broker that asks for no token, on the loopback: for programs of this machine, not for web pages."""

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


def test_the_broker_s_own_page_is(broker: Broker) -> None:
    origin = {"Origin": str(broker.http.base_url).rstrip("/")}
    assert broker.http.get("/v1/sessions", headers=origin).status_code == 200


def test_nobody_told_apart_is_no_admin(broker: Broker) -> None:
    answer: httpx.Response = broker.http.get("/v1/sessions", params={"owner": "*"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
