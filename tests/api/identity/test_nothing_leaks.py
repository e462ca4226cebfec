"""Tokens and code are in no log and no URL, and browsers and caches are told to be careful."""

import json

import httpx
import pytest

from fixtures.people import People


def test_tokens_and_code_are_in_no_log_even_the_most_talkative(people: People) -> None:
    people.ann.post("/v1/sessions", json={"session_id": "quiet", "env": {"KEY": "an-env-secret"}})
    people.run(people.ann, "quiet", "marker_of_the_code = 1")
    people.nobody.get("/v1/sessions", headers={"Authorization": "Bearer the-wrong-token"})
    people.nobody.get("/v1/sessions", params={"token": people.tokens["bob"]})
    people.ann.put("/v1/sessions/quiet/files/a-private-name.txt", content=b"1")
    people.ann.get("/v1/sessions/quiet/nowhere")
    log = people.broker.log.read_text()
    assert "kernel_broker.audit" in log
    secrets = [
        *people.tokens.values(),
        "the-wrong-token",
        "marker_of_the_code",
        "an-env-secret",
        "a-private-name",
    ]
    assert [secret for secret in secrets if secret in log] == []


@pytest.mark.parametrize("name", ["token", "access_token", "Token", "api_key"])
def test_a_token_in_a_url_is_refused_also_beside_a_good_one(people: People, name: str) -> None:
    for path in ("/v1/sessions", "/docs", "/livez"):
        answer = people.ann.get(path, params={name: people.tokens["ann"]})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request"), path
        assert "Authorization: Bearer" in answer.json()["detail"]


def test_every_call_that_changes_something_is_in_the_audit_log(people: People) -> None:
    people.ann.post("/v1/sessions", json={"session_id": "seen"})
    people.run(people.ann, "seen", "1")
    people.ann.get("/v1/sessions/seen")
    people.bob.delete("/v1/sessions/seen")
    people.nobody.delete("/v1/sessions/seen")
    people.ann.post("/v1/sessions/seen/fork", json={"session_id": "seen-too"})
    people.ann.put("/v1/sessions/seen/files/x%0A%7B%7D", content=b"1")
    people.root.delete("/v1/sessions/seen")
    marked = [line for line in people.broker.log.read_text().splitlines() if "kernel_broker.audit" in line]
    noted = [json.loads(line[line.index("{") :]) for line in marked]
    mine = [note for note in noted if note["session"] == "seen" or note.get("made", "").startswith("seen")]
    told = [(note["owner"], note["admin"], note["call"], note["status"], note.get("made")) for note in mine]
    one = "/v1/sessions/{session_id}"
    assert told == [
        ("ann", False, "POST /v1/sessions", 201, "seen"),
        ("ann", False, f"POST {one}/execute", 200, None),
        ("bob", False, f"DELETE {one}", 404, None),
        ("ann", False, f"POST {one}/fork", 201, "seen-too"),
        ("ann", False, f"PUT {one}/files/{{path:any_path}}", 200, None),
        ("root", True, f"DELETE {one}", 204, None),
    ]
    refused = [note for note in noted if note["owner"] is None]
    assert refused[-1]["status"] == 401
    assert refused[-1]["call"].startswith("DELETE")


def test_answers_are_not_guessed_framed_or_cached(people: People) -> None:
    people.ann.post("/v1/sessions", json={"session_id": "kept"})
    stream = {"json": {"code": "1"}}
    answers = [
        people.ann.get("/v1/sessions"),
        people.ann.post("/v1/sessions/kept/execute", **stream),
        people.nobody.get("/v1/sessions"),
        people.ann.get("/v1/sessions/none"),
        people.nobody.get("/docs"),
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
    assert "script-src" not in answers[0].headers["content-security-policy"]
    docs = answers[-1]
    loaded = [word for word in docs.text.replace("'", '"').split('"') if word.startswith("https://")]
    assert loaded
    for url in loaded:
        assert f"https://{httpx.URL(url).host}" in docs.headers["content-security-policy"]
