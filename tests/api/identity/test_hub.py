"""JupyterHub says who asks: a real Hub, and one that is slow, broken or away."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from issuer import Clock, Teller, teller

from fixtures.broker import Broker
from fixtures.hub import JupyterHub
from fixtures.people import client
from kernel_broker.api.identity.fetch import Fetcher
from kernel_broker.api.identity.hub import Hub
from kernel_broker.errors import BrokerError
from kernel_broker.sessions.ownership import Caller


@pytest.fixture(scope="module")
def hubs_broker(hub: JupyterHub) -> Iterator[Broker]:
    broker = Broker(preload="", spares=1, hub_url=hub.url, hub_ttl=0)  # each request asks the Hub
    try:
        yield broker.start()
    finally:
        broker.destroy()


def owner_of(broker: Broker, token: str) -> httpx.Response:
    with client(broker, token) as http:
        return http.post("/v1/sessions", json={})


def test_users_of_the_hub_own_their_sessions_and_its_admins_see_them(
    hub: JupyterHub, hubs_broker: Broker
) -> None:
    ann, bob, root = (client(hubs_broker, hub.token_of(name)) for name in ("ann", "bob", "root"))
    with ann, bob, root:
        made = ann.post("/v1/sessions", json={"session_id": "anns"})
        assert made.json()["owner"] == "ann"
        run = ann.post(
            "/v1/sessions/anns/execute", json={"code": "1"}, headers={"Accept": "application/json"}
        )
        assert run.json()["status"] == "ok"
        assert bob.get("/v1/sessions/anns").status_code == 404
        assert root.get("/v1/sessions/anns").json()["owner"] == "ann"
        listed = root.get("/v1/sessions", params={"owner": "ann"}).json()["sessions"]
        assert [session["session_id"] for session in listed] == ["anns"]


def test_an_admin_s_token_without_the_admin_s_scope_is_no_admin_s(
    hub: JupyterHub, hubs_broker: Broker
) -> None:  # as a notebook server has one
    with client(hubs_broker, hub.token_of("root", scopes=["users:activity!user=root"])) as narrow:
        assert narrow.post("/v1/sessions", json={}).json()["owner"] == "root"
        assert narrow.get("/v1/sessions", params={"owner": "*"}).status_code == 403


def test_services_own_sessions_under_a_name_no_user_can_have(hub: JupyterHub, hubs_broker: Broker) -> None:
    assert owner_of(hubs_broker, hub.service_token).json()["owner"] == "service/maker"


def test_a_token_of_nobody_s_or_withdrawn_opens_nothing(hub: JupyterHub, hubs_broker: Broker) -> None:
    assert owner_of(hubs_broker, "0" * 32).status_code == 401
    token = hub.token_of("eve")
    assert owner_of(hubs_broker, token).status_code == 201
    hub.revoke("eve")
    assert owner_of(hubs_broker, token).status_code == 401


def test_a_hub_that_is_away_is_waited_for(hub: JupyterHub, hubs_broker: Broker) -> None:
    token = hub.token_of("ann")
    hub.stop()
    answer = owner_of(hubs_broker, token)
    assert (answer.status_code, answer.json()["code"]) == (503, "identity_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert "JupyterHub" in answer.json()["detail"]
    log = hubs_broker.log.read_text()
    assert "JupyterHub cannot be asked" in log
    assert token not in log


@pytest.fixture
def told() -> Iterator[Teller]:
    with teller() as server:
        server.document = {"kind": "user", "name": "ann", "admin": False}
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def way(told: Teller, clock: Clock) -> AsyncIterator[Hub]:
    made = Hub(told.url, 30, Fetcher(), clock)
    yield made
    await made.close()


async def test_the_hub_is_asked_once_in_a_while_for_each_token(way: Hub, told: Teller, clock: Clock) -> None:
    assert await asyncio.gather(*(way.identify("t") for _ in range(20))) == [Caller("ann")] * 20
    assert told.asked == ["Bearer t"]
    clock.now += 29
    await way.identify("t")
    assert len(told.asked) == 1
    told.status = 403
    clock.now += 2
    assert [await way.identify("t") for _ in range(3)] == [None] * 3
    assert len(told.asked) == 2
    told.status = 200
    clock.now += 31
    assert await way.identify("t") == Caller("ann")


async def test_what_can_be_no_token_of_the_hub_s_is_not_asked_about(way: Hub, told: Teller) -> None:
    assert await way.identify("é") is None
    assert told.asked == []


async def test_tokens_of_nobody_s_crowd_nobody_out(
    way: Hub, told: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernel_broker.api.identity.hub._KEPT", 10)
    await way.identify("good")
    told.status = 403
    for number in range(25):
        await way.identify(f"bad-{number}")
    asked = len(told.asked)
    assert await way.identify("good") == Caller("ann")
    assert await way.identify("bad-24") is None
    assert len(told.asked) == asked
    await way.identify("bad-0")
    assert len(told.asked) == asked + 1


async def test_those_who_wait_for_one_answer_share_its_failure(way: Hub, told: Teller) -> None:
    told.status = 500
    told.may_answer.clear()
    waiting = [asyncio.create_task(way.identify("t")) for _ in range(5)]
    while not told.asked:
        await asyncio.sleep(0)
    told.may_answer.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome).__name__ for outcome in outcomes] == ["Unavailable"] * 5
    assert len(told.asked) == 1
    told.status = 200
    assert await way.identify("t") == Caller("ann")  # a failure is not remembered


@pytest.mark.parametrize("status", [302, 404, 429, 500])
async def test_what_is_no_answer_is_not_taken_for_one(way: Hub, told: Teller, status: int) -> None:
    told.status = status
    with pytest.raises(BrokerError, match="does not answer"):
        await way.identify("t")


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ([], "identity_unavailable"),
        ({}, "forbidden"),
        ({"name": 1}, "forbidden"),
        ({"name": "default"}, "forbidden"),
    ],
)
async def test_what_is_no_user_is_not_let_in(way: Hub, told: Teller, document: object, code: str) -> None:
    told.document = document
    with pytest.raises(BrokerError) as refused:
        await way.identify("t")
    assert refused.value.problem.code == code


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"admin": True}, Caller("ann", True)),  # a Hub before 2.0
        ({"admin": True, "scopes": ["admin:users"]}, Caller("ann", True)),
        ({"admin": True, "scopes": []}, Caller("ann")),
        ({"admin": True, "scopes": None}, Caller("ann")),
        ({"admin": "yes"}, Caller("ann")),
        ({"admin": False, "scopes": ["admin:users"]}, Caller("ann")),
        ({"kind": "service"}, Caller("service/ann")),
    ],
)
async def test_who_a_model_means(way: Hub, told: Teller, model: dict[str, object], expected: Caller) -> None:
    told.document = {"kind": "user", "name": "ann", **model}
    assert await way.identify("t") == expected
