"""Running cells over HTTP: the three forms of the answer, re-attaching, retrying, and what can go wrong."""

import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from fixtures.broker import Broker


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.text.splitlines()]


def stream(broker: Broker, session_id: str, code: str, **body: Any) -> list[dict[str, Any]]:
    return lines(broker.http.post(f"/v1/sessions/{session_id}/execute", json={"code": code, **body}))


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event.get("msg_type", event["event"]) for event in events if event["event"] != "heartbeat"]


def test_a_stream_is_numbered_and_whole(broker: Broker) -> None:
    events = stream(broker, broker.create(), "print('hi')\n40+2")
    assert kinds(events) == [
        "accepted", "status", "execute_input", "stream", "execute_result", "execute_reply", "status", "end",
    ]  # fmt: skip
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert events[-1] | {"notices": []} == {
        "event": "end", "seq": 7, "status": "ok", "revision": 1, "execution_count": 1, "notices": [],
        "background": False,
    }  # fmt: skip


def test_outputs_answer_the_header_that_was_sent(broker: Broker) -> None:
    header = {"msg_id": "front-end-7", "session": "s", "username": "u", "custom": [1]}
    events = stream(broker, broker.create(), "1", header=header)
    parents = {event["parent_header"]["msg_id"] for event in events if event["event"] == "message"}
    assert parents == {"front-end-7"}
    assert events[0]["run_id"] == "front-end-7"


def test_one_object_when_json_is_asked_for(broker: Broker) -> None:
    result = broker.execute(broker.create(), "print('a'); print('b')\n1/0").json()
    assert result["status"] == "error"
    assert result["outputs"][0] == {"output_type": "stream", "name": "stdout", "text": "a\nb\n"}
    assert result["error"]["ename"] == "ZeroDivisionError"
    assert result["revision"] == 1  # a failed cell commits too


def test_server_sent_events_carry_the_same_lines(broker: Broker) -> None:
    answer = broker.http.post(
        f"/v1/sessions/{broker.create()}/execute", json={"code": "7"}, headers={"Accept": "text/event-stream"}
    )
    blocks = [
        dict(line.split(": ", 1) for line in block.splitlines()) for block in answer.text.split("\n\n")[:-1]
    ]
    assert [block["id"] for block in blocks] == [str(i) for i in range(len(blocks))]
    assert [json.loads(block["data"])["event"] for block in blocks] == [block["event"] for block in blocks]
    assert blocks[-1]["event"] == "end"


def test_a_form_nobody_speaks_is_refused(broker: Broker) -> None:
    answer = broker.http.post(
        f"/v1/sessions/{broker.create()}/execute", json={"code": "7"}, headers={"Accept": "image/png"}
    )
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


def test_a_run_can_be_followed_again_from_any_line(broker: Broker) -> None:
    session_id = broker.create()
    whole = stream(broker, session_id, "for i in range(5): print(i, flush=True)", run_id="r")
    for after in range(-1, len(whole)):
        again = lines(broker.http.get(f"/v1/sessions/{session_id}/runs/r", params={"after": after}))
        assert again == whole[after + 1 :]


def test_the_run_goes_on_when_the_reader_leaves(broker: Broker) -> None:
    session_id = broker.create()
    request = {"code": "import time\ntime.sleep(0.5)\nx = 'done'\nx", "run_id": "left"}
    with broker.http.stream("POST", f"/v1/sessions/{session_id}/execute", json=request) as answer:
        next(answer.iter_lines())
    events = lines(broker.http.get(f"/v1/sessions/{session_id}/runs/left"))
    assert "execute_result" in kinds(events)
    assert events[-1]["status"] == "ok"


@pytest.mark.parametrize("evict", [False, True], ids=["warm", "evicted"])
def test_a_retry_with_the_same_run_id_never_runs_twice(broker: Broker, evict: bool) -> None:
    session_id = broker.create()
    broker.text(session_id, "n = 0")
    first = stream(broker, session_id, "n += 1; n", run_id="once")
    if evict:
        broker.call(session_id, "evict")
    second = stream(broker, session_id, "n += 1; n", run_id="once")
    assert kinds(first)[-4:] == kinds(second)[-4:]
    assert second[-1]["revision"] == first[-1]["revision"]
    assert broker.text(session_id, "n") == "1"


def test_a_finished_run_is_known_after_the_broker_died(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker()
    session_id = broker.create()
    whole = stream(broker, session_id, "print('kept')\n1", run_id="r")
    broker.stop(how=9)
    broker.start()
    assert lines(broker.http.get(f"/v1/sessions/{session_id}/runs/r")) == whole
    assert "kept" in json.dumps(stream(broker, session_id, "print('kept')\n1", run_id="r"))


def test_a_run_lost_with_its_broker_is_never_run_again(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker()
    session_id = broker.create()
    broker.text(session_id, "n = 1")
    request = {"code": "n = 2\nprint('x', flush=True)\nimport time; time.sleep(60)", "run_id": "lost"}
    with broker.http.stream("POST", f"/v1/sessions/{session_id}/execute", json=request) as answer:
        assert any('"stream"' in line for line in answer.iter_lines() if '"stream"' in line)
        broker.stop(how=9)
    broker.start()
    for answer in (
        broker.http.get(f"/v1/sessions/{session_id}/runs/lost"),
        broker.execute(session_id, request["code"], run_id="lost"),
    ):
        assert (answer.status_code, answer.json()["code"], answer.json()["revision"]) == (409, "run_lost", 1)
    assert broker.text(session_id, "n") == "1"


def test_cells_of_a_session_wait_for_each_other_in_order(broker: Broker) -> None:
    session_id = broker.create()
    broker.text(session_id, "seen = []\nimport time")
    answers: dict[int, list[dict[str, Any]]] = {}
    started = threading.Event()

    def first() -> None:
        request = {"code": "print('on', flush=True); time.sleep(0.5); seen.append(0)"}
        with broker.http.stream("POST", f"/v1/sessions/{session_id}/execute", json=request) as answer:
            for line in answer.iter_lines():
                if '"stream"' in line:
                    started.set()

    thread = threading.Thread(target=first)
    thread.start()
    started.wait(30)
    answers[1] = stream(broker, session_id, "seen.append(1)")
    thread.join()
    assert [event["position"] for event in answers[1] if event["event"] == "queued"] == [1]
    assert broker.text(session_id, "seen") == "[0, 1]"


def test_input_is_asked_for_and_answered(broker: Broker) -> None:
    session_id = broker.create()
    refused = broker.http.post(f"/v1/sessions/{session_id}/input", json={"value": "x"})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_waiting_for_input")
    request = {"code": "name = input('who? ')\nname", "allow_stdin": True}
    with broker.http.stream("POST", f"/v1/sessions/{session_id}/execute", json=request) as answer:
        for line in answer.iter_lines():
            event = json.loads(line)
            if event.get("msg_type") == "input_request":
                assert event["content"] == {"prompt": "who? ", "password": False}
                given = httpx.post(f"{broker.url}/v1/sessions/{session_id}/input", json={"value": "Ada"})
                assert given.status_code == 204
            if event.get("msg_type") == "execute_result":
                assert event["content"]["data"]["text/plain"] == "'Ada'"
    assert broker.text(session_id, "name") == "'Ada'"


INTERRUPTED = {
    "a busy loop": "print('on', flush=True)\nwhile True: pass",
    "sleep": "import time; print('on', flush=True); time.sleep(60)",
    "a subprocess": "import subprocess; print('on', flush=True); subprocess.run(['sleep', '60'])",
    "a shell command": "print('on', flush=True)\n!sleep 60",
    "await": "import asyncio; print('on', flush=True); await asyncio.sleep(60)",
    "input": "print('on', flush=True); input()",
    "a C call": "import threading; print('on', flush=True); threading.Event().wait(60)",
}


@pytest.mark.parametrize("code", INTERRUPTED.values(), ids=INTERRUPTED)
def test_interrupt(broker: Broker, code: str) -> None:
    session_id = broker.create()
    broker.text(session_id, "kept = 1")
    request = {"code": code, "allow_stdin": True}
    end: dict[str, Any] = {}
    with broker.http.stream("POST", f"/v1/sessions/{session_id}/execute", json=request) as answer:
        for line in answer.iter_lines():
            event = json.loads(line)
            if event.get("msg_type") == "stream" and "on" in event["content"]["text"]:
                assert httpx.post(f"{broker.url}/v1/sessions/{session_id}/interrupt").status_code == 204
            if event.get("msg_type") == "error":
                assert event["content"]["ename"] in ("KeyboardInterrupt", "CancelledError")
            end = event
    assert end["event"] == "end"
    assert broker.text(session_id, "kept") == "1"


def test_a_cell_over_its_time_is_stopped(broker: Broker) -> None:
    session_id = broker.create()
    broker.text(session_id, "kept = 1")
    answer = broker.execute(session_id, "while True: pass", timeout=0.2)
    assert (answer.status_code, answer.json()["code"]) == (504, "cell_timeout")
    assert broker.text(session_id, "kept") == "1"


def test_a_cell_that_cannot_be_interrupted_is_killed_with_its_worker(broker: Broker) -> None:
    session_id = broker.create()
    broker.text(session_id, "kept = 1")
    stubborn = "while True:\n  try:\n    while True: pass\n  except KeyboardInterrupt: pass"
    answer = broker.execute(session_id, stubborn, timeout=0.2)
    assert answer.json()["code"] == "cell_timeout"
    assert broker.text(session_id, "kept") == "1"


def test_restart_gives_a_fresh_namespace(broker: Broker) -> None:
    session_id = broker.create()
    broker.text(session_id, "x = 1")
    session = broker.call(session_id, "restart").json()
    assert (session["execution_count"], session["revision"]) == (0, 2)
    result = broker.execute(session_id, "x").json()
    assert (result["error"]["ename"], result["execution_count"]) == ("NameError", 1)


def test_background_output_is_followed_until_it_ends(broker: Broker) -> None:
    session_id = broker.create()
    code = (
        "import threading, time\n"
        "def late():\n    time.sleep(0.3); print('late')\n"
        "threading.Thread(target=late).start()"
    )
    assert stream(broker, session_id, code)[-1]["background"] is True
    events = lines(broker.http.get(f"/v1/sessions/{session_id}/runs/background"))
    assert "late" in json.dumps(events)
    assert events[-1]["event"] == "end"


def test_other_requests_are_answered_as_a_kernel_does(broker: Broker) -> None:
    session_id = broker.create()
    broker.text(session_id, "alphabet = 1")

    def ask(msg_type: str, **content: Any) -> dict[str, Any]:
        body = {"msg_type": msg_type, "content": content}
        events = lines(broker.http.post(f"/v1/sessions/{session_id}/messages", json=body))
        assert events[-1]["event"] == "end"
        return next(event["content"] for event in events if event.get("msg_type") == f"{msg_type[:-8]}_reply")

    assert "alphabet" in ask("complete_request", code="alpha", cursor_pos=5)["matches"]
    assert ask("inspect_request", code="alphabet", cursor_pos=8, detail_level=0)["found"] is True
    assert ask("is_complete_request", code="for i in x:")["status"] == "incomplete"
    history = ask("history_request", hist_access_type="tail", n=1, output=False, raw=True)
    assert history["history"][-1][2] == "alphabet = 1"
    assert ask("comm_info_request")["comms"] == {}
    assert ask("kernel_info_request")["implementation"] == "ipython"
