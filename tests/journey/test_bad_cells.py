"""Cells that misbehave: each gives a clear error, and the session goes on from its last commit."""

from collections.abc import Callable

import psutil
import pytest

from fixtures.broker import Broker

KILLERS = {
    "SIGKILL to itself": ("import os; os.kill(os.getpid(), 9)", "SIGKILL"),
    "segfault": ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
    "os._exit": ("import os; os._exit(3)", "status 3"),
    "abort": ("import os; os.abort()", "SIGABRT"),
    "every descriptor closed": ("import os; os.closerange(0, 4096)", "ended"),
    "rubbish on the worker's channel": (
        "import os, stat\n"
        "for fd in range(3, 64):\n"
        "    try:\n"
        "        if stat.S_ISSOCK(os.fstat(fd).st_mode): os.write(fd, b'rubbish' * 100)\n"
        "    except OSError: pass\n"
        "import time; time.sleep(5)",
        "ended",
    ),
}


@pytest.mark.parametrize(("code", "said"), KILLERS.values(), ids=KILLERS)
def test_a_cell_that_ends_its_worker(broker: Broker, code: str, said: str) -> None:
    session_id, other = broker.create(), broker.create()
    broker.text(session_id, "kept = [1]; kept.append(2)")
    broker.text(other, "mine = 1")
    answer = broker.execute(session_id, "kept.append(3)\n" + code)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["revision"]) == (500, "worker_lost", 1)
    assert said in problem["detail"]
    assert broker.text(session_id, "kept") == "[1, 2]"
    assert broker.text(other, "mine") == "1"


def test_the_front_end_is_told_in_messages_too(broker: Broker) -> None:
    session_id = broker.create()
    answer = broker.http.post(f"/v1/sessions/{session_id}/execute", json={"code": "import os; os._exit(1)"})
    assert '"ename":"WorkerLost"' in answer.text
    assert '"execution_state":"idle"' in answer.text


HARMLESS = {
    "sys.exit": ("import sys; sys.exit(2)", "SystemExit"),
    "a syntax error": ("def", "SyntaxError"),
    "deep recursion": ("def f(): return f()\nf()", "RecursionError"),
    "a huge exception": ("raise ValueError('x' * 10_000_000)", "ValueError"),
    "an exception that cannot be shown": (
        "class E(Exception):\n    def __str__(self): raise RuntimeError('no')\nraise E",
        "RuntimeError",
    ),
}


@pytest.mark.parametrize(("code", "ename"), HARMLESS.values(), ids=HARMLESS)
def test_a_cell_that_raises(broker: Broker, code: str, ename: str) -> None:
    session_id = broker.create()
    broker.text(session_id, "kept = 1")
    result = broker.execute(session_id, code).json()
    assert (result["status"], result["error"]["ename"]) == ("error", ename)
    assert broker.text(session_id, "kept") == "1"


@pytest.mark.parametrize("code", ["quit", "exit", "quit()", "exit()"])
def test_quit_does_not_end_the_session(broker: Broker, code: str) -> None:
    session_id = broker.create()
    broker.text(session_id, "kept = 1")
    broker.execute(session_id, code)
    assert broker.text(session_id, "kept") == "1"


SURVIVED = {
    "standard streams closed": "import os; os.close(0); os.close(1); os.close(2)",
    "sys.stdout closed": "import sys; sys.stdout.close()",
    "sys.stdout gone": "import sys; del sys.stdout; del sys.stderr",
    "builtins deleted": "import builtins\nfor n in ('len', 'print', 'isinstance'): delattr(builtins, n)",
    "json.dumps replaced": "import json; json.dumps = json.loads = None",
    "builtins replaced": "import builtins; builtins.len = builtins.dict = builtins.type = 'nonsense'",
    "IPython's own names deleted": "del In, Out, get_ipython",
    "the event loop stopped": "import asyncio; asyncio.get_event_loop().stop()",
    "signals ignored": "import signal\nfor s in (2, 15): signal.signal(s, signal.SIG_IGN)",
    "modules removed": "import sys\nfor m in ('json', 'os', 'asyncio'): sys.modules.pop(m)",
    "the process forked": "import os; os.fork()",
    "the directory removed": "import os, tempfile; d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)",
}


@pytest.mark.parametrize("code", SURVIVED.values(), ids=SURVIVED)
def test_a_cell_that_breaks_its_process(broker: Broker, code: str) -> None:
    session_id = broker.create()
    broker.text(session_id, "kept = 1")
    broker.execute(session_id, code)
    broker.execute(session_id, "kept += 1")
    broker.call(session_id, "evict")
    assert broker.text(session_id, "kept") in ("2", "1")
    assert broker.text(broker.create(), "6*7") == "42"


def test_a_forked_child_ends_with_its_cell_and_may_print(broker: Broker) -> None:
    session_id = broker.create()
    code = "import os\npid = os.fork()\nif pid == 0: print('child')\nelse: os.waitpid(pid, 0)\nprint('both')"
    text = broker.execute(session_id, code).json()["outputs"][0]["text"]
    assert "child" in text
    assert "both" in text
    pids = [p for p in broker.worker_pids() if psutil.pid_exists(p)]
    assert broker.text(session_id, "pid in " + repr(pids)) == "False"


def test_a_flood_of_output_is_cut_and_said_so(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(output=2**20, run_log=2**20)
    session_id = broker.create()
    result = broker.execute(session_id, "for _ in range(200): print('x' * 2**20)\nkept = 1").json()
    assert result["status"] == "ok"
    text = "".join(output["text"] for output in result["outputs"])
    assert "reached the limit of its output" in text
    assert len(text) < 4 * 2**20
    assert broker.text(session_id, "kept") == "1"
    assert psutil.Process(broker.pid).memory_info().rss < 400 * 2**20


def test_the_worker_of_a_dead_broker_ends(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker()
    session_id = broker.create()
    broker.text(session_id, "import os; os.getpid()")
    broker.stop(how=9)  # asserts that no process outlives it
