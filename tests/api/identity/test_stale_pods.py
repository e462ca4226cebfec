"""A pod that has not heard yet that a session was deleted elsewhere, and its id is someone else's now."""

from collections.abc import Callable
from pathlib import Path

from fixtures.broker import Broker
from fixtures.people import JSON, client, write_tokens
from fixtures.redis_server import RedisServer


def test_what_is_left_of_a_session_is_not_shown_to_the_next_owner_of_its_id(
    make_broker: Callable[..., Broker], redis_server: RedisServer, tmp_path: Path
) -> None:
    tokens = write_tokens(tmp_path / "tokens", ("ann", "user"), ("bob", "user"))
    settings = {"tokens_file": tmp_path / "tokens", "lease_ttl": 600}  # so that the stale pod does not look
    stale, other = (make_broker(redis_server.url, **settings) for _ in range(2))
    with client(stale, tokens["ann"]) as ann, client(stale, tokens["bob"]) as bob:
        assert ann.post("/v1/sessions", json={"session_id": "x", "name": "hers"}).status_code == 201
        cell = {"code": "print('her secret')", "run_id": "r"}
        assert ann.post("/v1/sessions/x/execute", json=cell, headers=JSON).json()["status"] == "ok"
        with client(other, tokens["ann"]) as ann_there, client(other, tokens["bob"]) as bob_there:
            assert ann_there.delete("/v1/sessions/x").status_code == 204
            assert bob_there.post("/v1/sessions", json={"session_id": "x", "name": "his"}).status_code == 201
        shown = bob.get("/v1/sessions/x").json()
        assert (shown["name"], shown["revision"], shown["state"]) == ("his", 0, "cold")
        assert bob.get("/v1/sessions").json()["sessions"] == [shown]
        run = bob.get("/v1/sessions/x/runs/r")
        assert (run.status_code, run.json()["code"]) == (404, "run_not_found")
        assert bob.post("/v1/sessions/x/interrupt").status_code == 204
        for answer in (ann.get("/v1/sessions/x"), ann.get("/v1/sessions/x/variables")):
            assert answer.status_code == 404


def test_what_is_left_of_a_session_opens_nothing_to_its_former_owner(
    make_broker: Callable[..., Broker], redis_server: RedisServer, tmp_path: Path
) -> None:
    tokens = write_tokens(tmp_path / "tokens", ("ann", "user"), ("bob", "user"))
    settings = {"tokens_file": tmp_path / "tokens", "lease_ttl": 600}
    stale, other = (make_broker(redis_server.url, **settings) for _ in range(2))
    with client(stale, tokens["ann"]) as ann, client(stale, tokens["bob"]) as bob:
        ann.post("/v1/sessions", json={"session_id": "x"})
        ann.post("/v1/sessions/x/execute", json={"code": "1"}, headers=JSON)
        ann.post("/v1/sessions/x/evict")  # the lease is free, and this pod still has its runs
        with client(other, tokens["ann"]) as ann_there, client(other, tokens["bob"]) as bob_there:
            assert ann_there.delete("/v1/sessions/x").status_code == 204
            bob_there.post("/v1/sessions", json={"session_id": "x"})
            cell = {"code": "his = 'secret'; print(his)", "run_id": "his-run"}
            assert bob_there.post("/v1/sessions/x/execute", json=cell, headers=JSON).json()["revision"] == 1
            assert bob_there.post("/v1/sessions/x/evict").json()["state"] == "cold"
        read = ann.get("/v1/sessions/x/runs/his-run")
        assert (read.status_code, read.json()["code"]) == (404, "session_not_found")
        stolen = ann.post("/v1/sessions/x/execute", json={"code": "his"}, headers=JSON)
        assert (stolen.status_code, stolen.json()["code"]) == (404, "session_not_found")
        assert "secret" not in stolen.text
        for verb in ("restart", "evict"):
            assert ann.post(f"/v1/sessions/x/{verb}").status_code == 404
        his = bob.post("/v1/sessions/x/execute", json={"code": "his"}, headers=JSON).json()
        assert his["outputs"][0]["data"]["text/plain"] == "'secret'"
        assert ann.post("/v1/sessions/x/execute", json={"code": "his"}).status_code == 404
