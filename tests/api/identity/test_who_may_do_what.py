"""Owners, admins and strangers at every route of the OpenAPI document; a new one is tested with the rest."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fixtures.people import People
from kernel_broker.api.identity.door import PUBLIC

BODIES: dict[str, Any] = {
    "/v1/sessions": {},
    "/v1/sessions/{session_id}/execute": {"code": "x = 2"},
    "/v1/sessions/{session_id}/messages": {"msg_type": "kernel_info_request"},
    "/v1/sessions/{session_id}/input": {"value": "ann's"},
    "/v1/sessions/{session_id}/checkout": {"revision": 1},
    "/v1/sessions/{session_id}/fork": {},
}
"""What each POST needs to be understood; without it the route answers 422, and the tests fail."""


def calls(who: httpx.Client) -> list[tuple[str, str]]:
    """Every method and path of the document, those that end a session last."""
    paths: dict[str, dict[str, Any]] = who.get("/openapi.json").json()["paths"]
    found = [(method.upper(), path) for path, item in paths.items() for method in item]
    assert len(found) > 20
    return sorted(found, key=lambda call: call == ("DELETE", "/v1/sessions/{session_id}"))


def ask(who: httpx.Client, call: tuple[str, str], session_id: str) -> httpx.Response:
    method, path = call
    url = path.format(session_id=session_id, run_id="r", path="f.txt")
    if method == "PUT":
        return who.put(url, content=b"y")
    return who.request(method, url, json=BODIES.get(path) if method == "POST" else None)


def of_a_session(who: httpx.Client) -> list[tuple[str, str]]:
    return [call for call in calls(who) if "{session_id}" in call[1]]


@pytest.fixture(params=["warm", "cold"])
def anns(people: People, request: pytest.FixtureRequest) -> Iterator[str]:
    """A session of ann's with a variable, a run and a file, warm; or one that is in the store alone."""
    session_id = f"anns-{request.param}"
    assert people.ann.post("/v1/sessions", json={"session_id": session_id}).status_code == 201
    if request.param == "warm":
        code = "x = 1; open('f.txt', 'w').write('hers'); x"
        assert people.run(people.ann, session_id, code, run_id="r").json()["status"] == "ok"
    yield session_id
    people.ann.delete(f"/v1/sessions/{session_id}")


def test_a_session_of_someone_else_is_one_that_does_not_exist(people: People, anns: str) -> None:
    before = people.ann.get(f"/v1/sessions/{anns}").json()
    for call in of_a_session(people.bob):
        hers, none = ask(people.bob, call, anns), ask(people.bob, call, "no-such-session")
        assert hers.status_code == 404, (call, hers.text)
        assert hers.json()["code"] == "session_not_found"
        assert hers.text == none.text.replace("no-such-session", anns)
    assert people.ann.get(f"/v1/sessions/{anns}").json() == before
    assert people.bob.get("/v1/sessions").json() == {"sessions": []}


def test_an_admin_may_do_everything_with_it(people: People) -> None:
    session_id = "anns-for-root"
    people.ann.post("/v1/sessions", json={"session_id": session_id})
    code = "x = 1; open('f.txt', 'w').write('hers'); x"
    assert people.run(people.ann, session_id, code, run_id="r").json()["revision"] == 1
    for call in of_a_session(people.root):
        answer = ask(people.root, call, session_id)
        nobody_asks = call[1].endswith("/input")
        assert answer.status_code == 409 if nobody_asks else answer.is_success, (call, answer.text)
    assert people.ann.get(f"/v1/sessions/{session_id}").status_code == 404


def test_without_a_token_nothing_is_open_but_what_is_public(people: People) -> None:
    answers = {call: ask(people.nobody, call, "any") for call in calls(people.nobody)}
    is_open = {path for (_, path), answer in answers.items() if answer.is_success}
    assert is_open | {"/docs", "/openapi.json"} == PUBLIC
    for call, answer in answers.items():
        if call[1] not in PUBLIC:
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), call
            assert answer.headers["www-authenticate"] == "Bearer"
    assert people.nobody.get("/nowhere").status_code == 401
    assert people.nobody.post("/v1/sessions", content=b"{").status_code == 401  # before it is read


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer", "Basic YW5uOng=", "slk_x", "Bearer \xff"])
def test_what_is_no_token_of_theirs_opens_nothing(people: People, header: str) -> None:
    headers = {"Authorization": header.encode("latin-1")}
    assert people.nobody.get("/v1/sessions", headers=headers).status_code == 401


def test_two_tokens_at_once_are_none(people: People) -> None:
    both = [("Authorization", f"Bearer {people.tokens[name]}") for name in ("ann", "bob")]
    assert people.nobody.get("/v1/sessions", headers=both).status_code == 401


def test_an_id_that_is_taken_says_that_and_no_more(people: People) -> None:
    people.ann.post("/v1/sessions", json={"session_id": "hers", "name": "secret plans"})
    people.bob.post("/v1/sessions", json={"session_id": "his"})
    for who in (people.bob, people.root):
        answer = who.post("/v1/sessions", json={"session_id": "hers"})
        assert (answer.status_code, answer.json()["code"]) == (409, "session_id_taken")
        assert "secret" not in answer.text
        assert "ann" not in answer.text
    answer = people.bob.post("/v1/sessions/his/fork", json={"session_id": "hers"})
    assert (answer.status_code, answer.json()["code"]) == (409, "session_id_taken")


def test_admins_list_the_sessions_of_others(people: People) -> None:
    people.ann.post("/v1/sessions", json={"session_id": "one-of-anns"})
    people.bob.post("/v1/sessions", json={"session_id": "one-of-bobs"})

    def listed(who: httpx.Client, **params: str) -> set[str]:
        return {session["owner"] for session in who.get("/v1/sessions", params=params).json()["sessions"]}

    assert listed(people.root) <= {"root"}
    assert listed(people.root, owner="ann") == {"ann"}
    assert listed(people.root, owner="*") >= {"ann", "bob"}
    assert listed(people.ann, owner="ann") == listed(people.ann) == {"ann"}
    for other in ("bob", "*", "nobody"):
        answer = people.ann.get("/v1/sessions", params={"owner": other})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_the_command_line_lists_the_sessions_of_others(people: People) -> None:
    people.ann.post("/v1/sessions", json={"session_id": "told-to-root"})
    environ = {"SERVERLESS_KERNEL_URL": people.broker.url, "SERVERLESS_KERNEL_TOKEN": people.tokens["root"]}
    code = "import sys; from kernel_manager.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "sessions", "list", "--owner", "*"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert "told-to-root" in done.stdout, done.stderr


def test_a_fork_belongs_to_who_made_it(people: People) -> None:
    people.ann.post("/v1/sessions", json={"session_id": "forked"})
    assert (
        people.root.post("/v1/sessions/forked/fork", json={"session_id": "roots"}).json()["owner"] == "root"
    )
    assert people.ann.get("/v1/sessions/roots").status_code == 404


def test_bodies_with_members_that_are_not_known_are_refused(people: People) -> None:
    people.ann.post("/v1/sessions", json={"session_id": "strict"})
    document = people.ann.get("/openapi.json").json()
    with_bodies = [
        (path, item["post"]["requestBody"]["content"]["application/json"]["schema"])
        for path, item in document["paths"].items()
        if "requestBody" in item.get("post", {})
    ]
    assert len(with_bodies) == len(BODIES)
    for path, schema in with_bodies:
        shape = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        assert shape["additionalProperties"] is False, path
        answer = people.ann.post(path.format(session_id="strict"), json={**BODIES[path], "unheard": 1})
        assert answer.status_code == 422, path
