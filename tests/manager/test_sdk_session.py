"""Session and AsyncSession against a scripted broker."""

import asyncio
import threading
from typing import Any

import pytest
from loopback import LoopbackBroker, Serve, cell, jupyter, refuse

from kernel_broker.wire.events import to_line
from kernel_manager import AsyncClient, AsyncSession, CellError, RunLost, Session, StoreUnavailable

RESULT = ("execute_result", {"data": {"text/plain": "2"}, "metadata": {}, "execution_count": 7})
HELLO = ("stream", {"name": "stdout", "text": "hello\n"})
OOPS = ("stream", {"name": "stderr", "text": "oops\n"})
ERROR = ("error", {"ename": "ValueError", "evalue": "bad", "traceback": ["tb"]})
ASK = ("input_request", {"prompt": "name? ", "password": False})


def session(broker: LoopbackBroker, *args: Any, **options: Any) -> Session:
    return Session(*args, url=broker.endpoint.url, token="sesame", **options)


def test_the_first_example(broker: LoopbackBroker) -> None:
    broker.lines = cell(HELLO, RESULT)
    with session(broker) as s:
        r = s.execute("print('hello'); 1+1")
        assert (r.text, r.stdout, r.status, r.revision) == ("2", "hello\n", "ok", 5)
        assert broker.sessions
    assert not broker.sessions, "a session that nobody named goes with its object"


@pytest.mark.parametrize(
    ("session_id", "keep", "stays"),
    [(None, None, False), ("mine", None, True), (None, True, True), ("mine", False, False)],
)
def test_who_is_kept(broker: LoopbackBroker, session_id: str | None, keep: bool | None, stays: bool) -> None:
    with session(broker, session_id, keep=keep, name="n", env={"A": "b"}) as s:
        assert list(broker.sessions) == [s.session_id]
        assert broker.sessions[s.session_id]["env"] == {"A": "b"}
    assert bool(broker.sessions) is stays


def test_callbacks_come_in_order_on_the_callers_thread(broker: LoopbackBroker) -> None:
    broker.lines = cell(HELLO, OOPS, RESULT, ERROR, status="error")
    told: list[tuple[str, str]] = []

    def note(kind: str) -> Any:
        def callback(what: Any) -> None:
            assert threading.current_thread() is threading.main_thread()
            told.append((kind, str(what)))

        return callback

    with session(broker) as s:
        messages: list[str] = []
        r = s.execute(
            "code",
            on_stdout=note("out"),
            on_stderr=note("err"),
            on_result=note("result"),
            on_error=note("error"),
            on_message=lambda event: messages.append(event["msg_type"]),
        )
    assert told == [("out", "hello\n"), ("err", "oops\n"), ("result", "2"), ("error", "tb")]
    assert messages[-2:] == ["execute_reply", "status"]
    assert r.error is not None
    assert r.error.name == "ValueError"


def test_fields_of_the_request(broker: LoopbackBroker) -> None:
    with session(broker) as s:
        s.execute("code", timeout=3, run_id="mine", silent=True, user_expressions={"a": "b"})
        s.execute("code", on_input=lambda prompt, hidden: "", on_stdout=None)
    first, second = (body for _, path, body in broker.requests if path.endswith("execute"))
    assert first == {
        "code": "code", "run_id": "mine", "timeout": 3, "silent": True, "user_expressions": {"a": "b"},
        "allow_stdin": False,
    }  # fmt: skip
    assert second["allow_stdin"] is True
    assert "timeout" not in second


def test_input_is_answered(broker: LoopbackBroker) -> None:
    broker.lines = cell(ASK)
    with session(broker) as s:
        s.execute("input()", on_input=lambda prompt, hidden: f"{prompt}{hidden}")
    assert [body for _, path, body in broker.requests if path.endswith("input")] == [{"value": "name? False"}]


def test_answer_nobody_waits_for_any_more_is_no_error(broker: LoopbackBroker) -> None:
    broker.lines = cell(ASK)
    broker.acts.extend([Serve(), refuse("not_waiting_for_input")])
    with session(broker) as s:
        assert s.execute("input()", on_input=lambda prompt, hidden: "x").status == "ok"


def test_ctrl_c_interrupts_the_cell_and_waits_for_its_end(broker: LoopbackBroker) -> None:
    broker.lines = cell(HELLO, ERROR, status="error")

    def press(text: str) -> None:
        raise KeyboardInterrupt

    with session(broker) as s:
        with pytest.raises(KeyboardInterrupt):
            s.execute("while True: pass", on_stdout=press)
        assert broker.count("POST", "/interrupt") == 1
        assert s.execute("1").status == "error", "the session goes on"


def test_failing_callback_is_the_callers_and_leaves_the_run_alone(broker: LoopbackBroker) -> None:
    broker.acts.append(Serve(2, ending="hang"))
    with session(broker) as s:
        with pytest.raises(ZeroDivisionError):
            s.execute("code", on_stdout=lambda text: 1 / 0)
        assert s.execute("1").status == "ok"
    assert broker.count("POST", "/interrupt") == 0


def test_errors_raise_only_when_asked(broker: LoopbackBroker) -> None:
    broker.lines = cell(ERROR, status="error")
    with session(broker) as s:
        assert s.execute("1/0").error is not None
        with pytest.raises(CellError, match="ValueError: bad"):
            s.execute("1/0", raise_on_error=True)


def test_lost_run_raises_always(broker: LoopbackBroker) -> None:
    broker.acts.extend([Serve(1), refuse("run_lost")])
    with session(broker) as s, pytest.raises(RunLost):
        s.execute("1")


async def test_blocking_session_works_inside_a_running_loop(broker: LoopbackBroker) -> None:
    broker.lines = cell(RESULT)
    with session(broker) as s:
        assert s.execute("1+1").text == "2"


def test_closed_session_says_so(broker: LoopbackBroker) -> None:
    s = session(broker)
    s.execute("opens by itself")
    s.close()
    s.close()
    assert not broker.sessions
    with pytest.raises(RuntimeError, match="closed"):
        s.execute("1")


def test_session_that_cannot_open_leaves_nothing(
    broker: LoopbackBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVERLESS_KERNEL_PATIENCE", "0.1")
    broker.stop()
    with pytest.raises(Exception, match="cannot connect"), session(broker):
        pass


def test_other_requests(broker: LoopbackBroker) -> None:
    reply = jupyter(1, "complete_reply", {"matches": ["abs"]}, "shell")
    busy = jupyter(2, "status", {"execution_state": "idle"})
    broker.lines = [broker.lines[0], reply, busy, to_line("end", 3, status="ok", problem=None)]
    with session(broker) as s:
        assert s.complete("ab")["matches"] == ["abs"]
        assert s.inspect("abs", 2, 1) == {"matches": ["abs"]}
        sent = [body for _, path, body in broker.requests if path.endswith("messages")]
        assert sent[0]["content"] == {"code": "ab", "cursor_pos": 2}
        assert sent[1]["content"] == {"code": "abs", "cursor_pos": 2, "detail_level": 1}
        broker.lines[-1] = to_line("end", 3, status="failed", problem={"code": "store_unavailable"})
        with pytest.raises(StoreUnavailable):
            s.complete("ab")


def test_life_of_a_session(broker: LoopbackBroker) -> None:
    with session(broker) as s:
        assert s.info()["session_id"] == s.session_id
        assert s.restart()["revision"] == 5
        assert s.evict()["revision"] == 5
        s.interrupt()
        s.delete()
    assert broker.count("DELETE", "/v1/sessions") == 1, "it is not deleted twice"


def test_unknown_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        Session(colour="blue")  # type: ignore[call-arg]


async def test_many_async_sessions_on_one_client(broker: LoopbackBroker) -> None:
    broker.lines = cell(HELLO, RESULT, ASK)
    told: list[str] = []

    async def note(text: str) -> None:
        told.append(text)

    async def answer(prompt: str, hidden: bool) -> str:
        return prompt

    async with AsyncClient(broker.endpoint) as client:

        async def work() -> str | None:
            async with AsyncSession(client=client) as s:
                return (await s.execute("1+1", on_stdout=note, on_input=answer)).text

        async with asyncio.TaskGroup() as group:
            runs = [group.create_task(work()) for _ in range(20)]
        assert {run.result() for run in runs} == {"2"}
        assert await client.sessions() == []
    assert told == ["hello\n"] * 20
    assert broker.count("POST", "/input") == 20
