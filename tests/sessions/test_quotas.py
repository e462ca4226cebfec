"""What one owner may have and do at a pod, by a clock that stands still, and at a running broker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from fixtures.broker import Broker
from fixtures.people import client, write_tokens
from kernel_broker.errors import OverQuota
from kernel_broker.sessions import quotas as quotas_module
from kernel_broker.sessions.ownership import Caller
from kernel_broker.sessions.quotas import QuotaLimits, Quotas
from kernel_broker.store.contract import History, SessionRecord, Store
from kernel_broker.store.open import open_store
from kernel_broker.wire.ids import Revision, SessionId

ANN, BOB, ROOT = Caller("ann"), Caller("bob"), Caller("root", is_admin=True)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/store.db", History(1, 0))
    await opened.open()
    yield opened
    await opened.close()


def refusal(call: Callable[[], object]) -> float:
    """The seconds after which it may be tried again."""
    with pytest.raises(OverQuota) as refused:
        call()
    assert refused.value.problem.status == 429
    assert refused.value.problem.retry_after is not None
    return refused.value.problem.retry_after


def test_requests_flow_in_at_their_rate(store: Store, clock: Clock) -> None:
    quotas = Quotas(QuotaLimits(requests=6), store, clock)
    for _ in range(6):
        quotas.count_request(ANN)
    assert refusal(lambda: quotas.count_request(ANN)) == pytest.approx(10)
    quotas.count_request(BOB)
    clock.now += 4
    assert refusal(lambda: quotas.count_request(ANN)) == pytest.approx(6)
    clock.now += 6.001
    quotas.count_request(ANN)
    assert refusal(lambda: quotas.count_request(ANN)) == pytest.approx(9.999)
    clock.now += 100_000  # more than a minute's worth is not saved up
    for _ in range(6):
        quotas.count_request(ANN)
    refusal(lambda: quotas.count_request(ANN))


def test_what_is_remembered_of_owners_is_bounded(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas_module, "_OWNERS_KEPT", 3)
    quotas = Quotas(QuotaLimits(requests=1, cells=1), store, clock)
    for name in ("a", "b", "c", "a", "d", "e"):
        try:
            quotas.count_request(Caller(name))
        except OverQuota:
            assert name == "a"
    assert list(quotas._left) == ["a", "d", "e"]
    quotas.begin_cell(ANN)()
    assert quotas._cells == {}


def test_cells_are_counted_until_they_end(store: Store, clock: Clock) -> None:
    quotas = Quotas(QuotaLimits(cells=2), store, clock)
    end_one, _ = quotas.begin_cell(ANN), quotas.begin_cell(ANN)
    assert refusal(lambda: quotas.begin_cell(ANN)) == 1
    quotas.begin_cell(BOB)
    end_one()
    end_one()
    quotas.begin_cell(ANN)
    refusal(lambda: quotas.begin_cell(ANN))


def test_an_admin_and_who_has_no_quota_are_not_counted(store: Store, clock: Clock) -> None:
    for quotas, caller in [
        (Quotas(QuotaLimits(sessions=1, cells=1, requests=1), store, clock), ROOT),
        (Quotas(QuotaLimits(), store, clock), ANN),
    ]:
        for _ in range(5):
            quotas.count_request(caller)
            quotas.begin_cell(caller)


async def make(quotas: Quotas, store: Store, caller: Caller, name: str) -> None:
    record = SessionRecord(SessionId(name), caller.owner, Revision(0), 1.0, 1.0, 1e9, b"{}")
    async with quotas.room_for(caller, record.session_id):
        await store.create(record)


async def test_sessions_are_counted_exactly_though_many_are_made_at_once(store: Store, clock: Clock) -> None:
    quotas = Quotas(QuotaLimits(sessions=3), store, clock)
    making = [make(quotas, store, ANN, f"ann-{number}") for number in range(10)]
    outcomes = await asyncio.gather(*making, make(quotas, store, BOB, "bob-1"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(OverQuota) == 7
    assert outcomes[-1] is None
    assert len(await store.list("ann")) == 3
    kept = (await store.list("ann"))[0].session_id
    await make(quotas, store, ANN, kept)  # it exists: no room is needed
    await make(quotas, store, ROOT, "root-1")
    await store.delete(kept)
    await make(quotas, store, ANN, "ann-again")
    assert len(quotas._making) == 0


def told(answer: httpx.Response) -> tuple[int, str]:
    assert int(answer.headers["retry-after"]) >= 1
    return answer.status_code, answer.json()["code"]


def test_a_broker_holds_its_owners_to_their_quotas(
    make_broker: Callable[..., Broker], tmp_path: Path
) -> None:
    tokens = write_tokens(tmp_path / "tokens", ("ann", "user"), ("bob", "user"), ("root", "admin"))
    limits = {"owner_sessions": 2, "owner_cells": 1, "owner_requests": 14}
    broker = make_broker(tokens_file=tmp_path / "tokens", **limits)
    ann, bob, root = (client(broker, tokens[name]) for name in ("ann", "bob", "root"))
    quick = {"json": {"code": "1"}, "headers": {"Accept": "application/json"}}
    with ann, bob, root:
        for name in ("a", "b", "a"):
            assert ann.post("/v1/sessions", json={"session_id": name}).is_success
        assert told(ann.post("/v1/sessions", json={})) == (429, "over_quota")
        assert told(ann.post("/v1/sessions/a/fork", json={})) == (429, "over_quota")
        assert bob.post("/v1/sessions", json={"session_id": "c"}).status_code == 201
        wait = {"code": "input()", "allow_stdin": True, "run_id": "w"}
        with ann.stream("POST", "/v1/sessions/a/execute", json=wait) as stream:
            lines = stream.iter_lines()
            assert any("input_request" in line for line in lines)
            assert told(ann.post("/v1/sessions/b/execute", **quick)) == (429, "over_quota")
            with ann.stream("POST", "/v1/sessions/a/execute", json=wait) as again:
                assert again.status_code == 200  # the same cell, not another one
            assert bob.post("/v1/sessions/c/execute", **quick).json()["status"] == "ok"
            assert root.post("/v1/sessions/b/execute", **quick).json()["status"] == "ok"
            assert ann.post("/v1/sessions/a/input", json={"value": ""}).status_code == 204
            assert '"end"' in list(lines)[-1]
        assert ann.post("/v1/sessions/b/execute", **quick).json()["status"] == "ok"
        asked = [ann.get("/v1/sessions") for _ in range(14)]
        assert told(asked[-1]) == (429, "over_quota")
        assert all(root.get("/v1/sessions").is_success for _ in range(20))
        assert bob.get("/v1/sessions").is_success
