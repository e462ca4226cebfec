"""The console command as a process, against a scripted broker."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import nbformat
import pytest
from loopback import LoopbackBroker, Serve, cell, jupyter, nobody, refuse

from kernel_broker.wire.events import to_line
from kernel_broker.wire.identity import TokenLine, digest, read_token_lines

MAIN = "import sys; from kernel_manager.cli import main; sys.exit(main())"
RESULT = ("execute_result", {"data": {"text/plain": "2"}, "metadata": {}, "execution_count": 7})
HELLO = ("stream", {"name": "stdout", "text": "hello\n"})
ERROR = ("error", {"ename": "ValueError", "evalue": "bad", "traceback": ["the traceback"]})


class Command:
    """Runs `serverless-kernel` in a home of its own."""

    def __init__(self, home: Path, broker: LoopbackBroker | None = None) -> None:
        self.environ = {
            "PATH": os.environ["PATH"], "HOME": str(home), "SERVERLESS_KERNEL_PATIENCE": "0.2",
            "JUPYTER_PATH": str(home / "share" / "jupyter"), "KERNEL_BROKER_PRELOAD": "",
        }  # fmt: skip
        if broker is not None:
            self.environ["SERVERLESS_KERNEL_URL"] = broker.endpoint.url

    def __call__(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", MAIN, *map(str, arguments)]
        return subprocess.run(command, env=self.environ, input=stdin, capture_output=True, text=True)


@pytest.fixture
def command(broker: LoopbackBroker, tmp_path: Path) -> Command:
    return Command(tmp_path, broker)


def kernel_info() -> list[bytes]:
    info = {"language_info": {"name": "python", "version": "3.11.0"}}
    reply = jupyter(1, "kernel_info_reply", info, "shell")
    return [cell()[0], reply, to_line("end", 2, status="ok", problem=None)]


def script(broker: LoopbackBroker, *runs: list[bytes]) -> None:
    """What the runs bring, one after the other: each is told by its first stream, whole."""
    for lines in runs:
        broker.acts.append(Serve(0, tail=b"".join(lines)))


def write_notebook(path: Path, *sources: str, **metadata: Any) -> Path:
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(source, metadata=metadata) for source in sources]
    nbformat.write(notebook, path)
    return path


def test_exec_prints_what_the_code_gives(command: Command, broker: LoopbackBroker) -> None:
    broker.lines = cell(HELLO, RESULT, notices=["x cannot be carried"])
    done = command("exec", "code")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n2\n", "x cannot be carried\n")
    assert not broker.sessions


def test_exec_reads_stdin_and_keeps_a_named_session(command: Command, broker: LoopbackBroker) -> None:
    done = command("exec", "-", "--session", "mine", "--timeout", "5", stdin="a = 'ä'\n")
    assert done.returncode == 0
    body = next(body for _, path, body in broker.requests if path.endswith("execute"))
    assert (body["code"], body["timeout"], body["allow_stdin"]) == ("a = 'ä'\n", 5, False)
    assert list(broker.sessions) == ["mine"]


def test_exec_of_failing_code_shows_the_traceback(command: Command, broker: LoopbackBroker) -> None:
    broker.lines = cell(ERROR, status="error")
    done = command("exec", "code")
    assert (done.returncode, done.stderr) == (1, "the traceback\n")


def test_exec_of_code_that_is_not_utf8(command: Command) -> None:
    arguments = [sys.executable, "-c", MAIN, "exec", "-"]
    done = subprocess.run(arguments, env=command.environ, input=b"\xff", capture_output=True)
    assert done.returncode == 2
    assert b"not UTF-8" in done.stderr
    assert b"Traceback" not in done.stderr


def test_no_broker_is_one_clear_line(command: Command) -> None:
    command.environ["SERVERLESS_KERNEL_URL"] = nobody().url
    for arguments in (["exec", "1"], ["sessions", "list"], ["status"]):
        done = command(*arguments)
        assert done.returncode == 3
        assert "Traceback" not in done.stderr
        assert "cannot connect" in done.stderr + done.stdout


def test_setting_that_cannot_be_is_one_clear_line(command: Command) -> None:
    command.environ["SERVERLESS_KERNEL_URL"] = "broker:80"
    done = command("exec", "1")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "http://" in done.stderr


def test_refusal_is_one_clear_line(command: Command, broker: LoopbackBroker) -> None:
    broker.acts.append(refuse("line_full"))
    done = command("exec", "1")
    assert (done.returncode, done.stderr) == (3, "serverless-kernel: test: line_full\n")


def test_run_fills_the_notebook_in(command: Command, broker: LoopbackBroker, tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "n.ipynb", "print('hello')", "", "1+1")
    header = {"date": "2026-01-01T00:00:00Z", "msg_id": "m"}
    timed = cell(HELLO)
    timed[1] = jupyter(1, "status", {"execution_state": "busy"}, header=header)
    script(broker, kernel_info(), timed, cell(RESULT))
    done = command("run", path, "-o", tmp_path / "out.ipynb", "--timeout", "9")
    assert done.returncode == 0, done.stderr
    assert "2/2" in done.stderr, "the progress bar"
    out = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    nbformat.validate(out)
    assert out.metadata.language_info.version == "3.11.0"
    assert out.metadata.kernelspec.name == "serverless-python"
    assert out.cells[0].metadata.execution["iopub.status.busy"] == "2026-01-01T00:00:00Z"
    assert out.cells[2].outputs[0].data["text/plain"] == "2"
    assert (out.cells[2].execution_count, out.cells[1].execution_count) == (7, None)
    created = next(body for method, path, body in broker.requests if path == "/v1/sessions")
    assert created["cwd"] == str(tmp_path)
    assert nbformat.read(path, as_version=4).cells[2].outputs == [], "the input is left as it was"


def test_run_updates_displays_of_earlier_cells(
    command: Command, broker: LoopbackBroker, tmp_path: Path
) -> None:
    path = write_notebook(tmp_path / "n.ipynb", "show", "update")
    data = {"metadata": {}, "transient": {"display_id": "d"}}
    shown = "display_data", {"data": {"text/plain": "old"}, **data}
    updated = "update_display_data", {"data": {"text/plain": "new"}, **data}
    script(broker, kernel_info(), cell(shown), cell(updated))
    assert command("run", path, "-o", tmp_path / "out.ipynb").returncode == 0
    out = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert out.cells[0].outputs[0].data["text/plain"] == "new"


def test_run_stops_at_the_cell_that_fails(command: Command, broker: LoopbackBroker, tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "n.ipynb", "a", "b", "c")
    script(broker, kernel_info(), cell(HELLO), cell(ERROR, status="error"))
    done = command("run", path, "-o", tmp_path / "out.ipynb")
    assert done.returncode == 1
    assert "cell 2 of" in done.stderr
    assert "the traceback" in done.stderr
    out = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert [len(c.outputs) for c in out.cells] == [1, 1, 0]
    assert broker.count("POST", "execute") == 2


@pytest.mark.parametrize(
    ("options", "metadata"), [(["--allow-errors"], {}), ([], {"tags": ["raises-exception"]})]
)
def test_run_goes_on_where_errors_are_allowed(
    command: Command, broker: LoopbackBroker, tmp_path: Path, options: list[str], metadata: dict[str, Any]
) -> None:
    path = write_notebook(tmp_path / "n.ipynb", "a", "b", **metadata)
    script(broker, kernel_info(), cell(ERROR, status="error"), cell(RESULT))
    assert command("run", path, *options).returncode == 0
    bodies = [body for _, path, body in broker.requests if path.endswith("execute")]
    assert [body["stop_on_error"] for body in bodies] == [False, False]


def test_run_of_what_is_no_notebook(command: Command, tmp_path: Path) -> None:
    (tmp_path / "text.ipynb").write_text("no JSON")
    for path in (tmp_path / "text.ipynb", tmp_path / "missing.ipynb", tmp_path):
        done = command("run", path)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    path = write_notebook(tmp_path / "n.ipynb", "1")
    assert command("run", path, "-o", tmp_path / "nowhere" / "out.ipynb").returncode == 2


def test_sessions(command: Command, broker: LoopbackBroker) -> None:
    broker.sessions = {
        "one": {"session_id": "one", "name": "n.ipynb", "state": "warm", "revision": 3, "size": 2048,
                "last_activity": 0},
    }  # fmt: skip
    listed = command("sessions", "list").stdout.splitlines()
    assert listed[0].split() == ["SESSION", "NAME", "STATE", "REVISION", "SIZE", "IDLE"]
    assert listed[1].split()[:6] == ["one", "n.ipynb", "warm", "3", "2", "KiB"]
    assert json.loads(command("sessions", "list", "--json").stdout)[0]["session_id"] == "one"
    assert json.loads(command("sessions", "show", "one", "--json").stdout)["revision"] == 5
    assert "revision    5" in command("sessions", "show", "one").stdout
    assert command("sessions", "rm", "one").returncode == 0
    assert broker.sessions == {}


def test_status_of_a_local_broker_that_sleeps_starts_nothing(tmp_path: Path) -> None:
    done = Command(tmp_path)("status")
    assert done.returncode == 0
    assert "not running; the next cell starts it" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_install_and_what_it_refuses(command: Command, tmp_path: Path) -> None:
    options = ["install", "--prefix", tmp_path, "--name", "team", "--url", "http://b", "--env", "A=b=c"]
    done = command(*options)
    assert done.returncode == 0
    assert "Installed kernelspec team" in done.stdout
    spec = json.loads((tmp_path / "share/jupyter/kernels/team/kernel.json").read_text())
    assert spec["env"] == {"A": "b=c", "SERVERLESS_KERNEL_URL": "http://b"}
    for wrong in (["--env", "novalue"], ["--url", "b:80"], ["--name", "a b"], ["--user"]):
        refused = command(*options, *wrong)
        assert refused.returncode == 2
        assert "Traceback" not in refused.stderr


def test_token_is_told_once_and_its_line_has_the_hash(command: Command) -> None:
    for options, role in ([], "user"), (["--admin"], "admin"):
        token, line = command("token", "ann@example.org", *options).stdout.splitlines()
        assert list(read_token_lines(line)) == [TokenLine("ann@example.org", role, digest(token))]
    for wrong in ("default", "a b"):
        refused = command("token", wrong)
        assert refused.returncode == 2
        assert refused.stdout == ""
        assert "owner's name" in refused.stderr


def test_help_names_every_command(command: Command) -> None:
    text = command("--help").stdout
    for name in ("run", "exec", "sessions", "status", "doctor", "install", "token", "broker"):
        assert f"    {name} " in text
        assert command(name, "--help").returncode == 0
    assert command().returncode == 2
    assert command("--version").stdout.strip()


def test_broker_hands_its_arguments_on(command: Command) -> None:
    done = command("broker", "--", "--version")
    assert done.returncode == 0
    assert done.stdout == command("--version").stdout


def test_doctor_says_what_is_wrong_and_what_to_do(command: Command) -> None:
    command.environ["SERVERLESS_KERNEL_URL"] = nobody().url
    done = command("doctor", "--json")
    found = {finding["subject"]: finding for finding in json.loads(done.stdout)}
    assert done.returncode == 1
    assert found["python"]["level"] == "ok"
    assert found["broker"]["level"] == "fail"
    assert "SERVERLESS_KERNEL_URL" in found["broker"]["advice"]
    assert "-> check SERVERLESS_KERNEL_URL" in command("doctor").stdout


def test_ctrl_c_interrupts_the_cell(command: Command, broker: LoopbackBroker) -> None:
    broker.lines = cell(HELLO, ERROR, status="error")
    broker.acts.append(Serve(2, ending="hang"))
    arguments = [sys.executable, "-c", MAIN, "exec", "code"]
    process = subprocess.Popen(arguments, env=command.environ, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hello\n"
        process.send_signal(signal.SIGINT)
        while not broker.count("POST", "/interrupt") and process.poll() is None:
            threading.Event().wait(0.01)  # the cell must not end before the interrupt reaches the broker
        broker.release()
        assert process.wait() == 130
    assert broker.count("POST", "/interrupt") == 1
    assert not broker.sessions
