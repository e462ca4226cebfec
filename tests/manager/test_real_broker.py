"""The SDK and the command line on a real local broker: what a person meets first."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from kernel_manager import AsyncSession, CellError, CellTimeout, NotFound, RunLost, Session
from kernel_manager.local import read_status
from kernel_manager.settings import read_settings

MAIN = "import sys; from kernel_manager.cli import main; sys.exit(main())"


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A user of one's own, whose broker ends with the module."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.setenv("SERVERLESS_KERNEL_RUNTIME_DIR", str(folder / "run"))
        patch.setenv("KERNEL_BROKER_PRELOAD", "")
        patch.setenv("KERNEL_BROKER_SPARES", "1")
        patch.delenv("SERVERLESS_KERNEL_URL", raising=False)
        yield folder
        kill_broker()


def kill_broker(*_: object) -> None:
    status = read_status(read_settings().local)
    if status.running:
        os.kill(status.record["pid"], signal.SIGKILL)


@pytest.fixture
def session() -> Iterator[Session]:
    with Session() as session:
        yield session


def test_first_cell(session: Session) -> None:
    told: list[str] = []
    r = session.execute(
        "import sys\nprint('out'); print('err', file=sys.stderr)\n6 * 7", on_stdout=told.append
    )
    assert (r.text, r.stdout, r.stderr, r.status) == ("42", "out\n", "err\n", "ok")
    assert "".join(told) == "out\n"
    assert (r.execution_count, r.revision) == (1, 1)


def test_cells_see_this_folder_and_this_python(session: Session) -> None:
    r = session.execute("import os, sys; (os.getcwd(), sys.prefix)")
    assert r.text == repr((str(Path.cwd()), sys.prefix))


def test_input(session: Session) -> None:
    asked: list[tuple[str, bool]] = []

    def answer(prompt: str, hidden: bool) -> str:
        asked.append((prompt, hidden))
        return "Ada"

    r = session.execute("import getpass\ninput('name? ') + getpass.getpass('word? ')", on_input=answer)
    assert r.text == "'AdaAda'"
    assert asked == [("name? ", False), ("word? ", True)]
    failed = session.execute("input()").error
    assert failed is not None
    assert failed.name == "StdinNotImplementedError"


def test_interrupt_from_another_thread(session: Session) -> None:
    def interrupt(_: str) -> None:
        threading.Thread(target=session.interrupt).start()

    r = session.execute("a = 1\nprint('go')\nwhile True: pass", on_stdout=interrupt)
    assert r.error is not None
    assert r.error.name == "KeyboardInterrupt"
    assert session.execute("a").text == "1"


def test_rich_results_updates_and_clearing(session: Session) -> None:
    shown = session.execute("h = display('old', display_id=True)")
    session.execute("h.update('new')")
    assert shown.results[0].text == "'new'"
    code = (
        "from IPython.display import HTML, clear_output\nprint('gone'); clear_output(wait=True); HTML('<b>')"
    )
    r = session.execute(code)
    assert r.stdout == ""
    assert r.result is not None
    assert r.result.html == "<b>"


def test_state_survives_eviction_and_a_killed_broker(session: Session) -> None:
    session.execute("kept = [1, 2]")
    assert session.evict()["state"] == "cold"
    assert session.execute("kept.append(3); kept").text == "[1, 2, 3]"
    kill_broker()
    assert session.execute("kept").text == "[1, 2, 3]"


def test_broker_killed_while_a_cell_runs(session: Session, tmp_path: Path) -> None:
    session.execute("kept = 1")
    code = f"open({str(tmp_path / 'ran')!r}, 'a').write('x')\nprint('go')\nwhile True: pass"
    with pytest.raises(RunLost, match="revision 1, as before it"):
        session.execute(code, on_stdout=kill_broker)
    assert session.execute("kept").text == "1", "the session goes on from its last revision"
    assert (tmp_path / "ran").read_text() == "x", "the cell was not run again"


def test_same_run_id_runs_once(session: Session) -> None:
    session.execute("n = 0")
    first = session.execute("n += 1; n", run_id="once")
    again = session.execute("n += 1; n", run_id="once")
    assert (first.text, again.text) == ("1", "1")
    assert session.execute("n").text == "1"


def test_timeout(session: Session) -> None:
    r = session.execute("while True: pass", timeout=0.3)
    with pytest.raises(CellTimeout):
        r.raise_for_error()
    assert session.execute("1").text == "1"


def test_completion_inspection_restart(session: Session) -> None:
    session.execute("some_long_name = 1")
    assert "some_long_name" in session.complete("some_lo")["matches"]
    assert session.inspect("len")["found"] is True
    session.restart()
    failed = session.execute("some_long_name").error
    assert failed is not None
    assert failed.name == "NameError"


def test_named_session_is_found_again() -> None:
    with Session("mine") as first:
        first.execute("a = 1")
    with Session("mine", keep=False) as second:
        assert second.execute("a").text == "1"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", MAIN, *map(str, arguments)], capture_output=True, text=True)


def test_notebook_from_the_command_line(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook()
    sources = ["from pathlib import Path\na = Path('data.txt').read_text()", "print(a)", "1/0", "a"]
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    (tmp_path / "data.txt").write_text("found")
    nbformat.write(notebook, tmp_path / "n.ipynb")
    done = run("run", tmp_path / "n.ipynb", "-o", tmp_path / "out.ipynb")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    out = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    nbformat.validate(out)
    assert out.cells[1].outputs[0].text == "found\n", "cells run in the notebook's folder"
    assert [c.execution_count for c in out.cells] == [1, 2, 3, None]
    assert set(out.cells[1].metadata.execution) == {
        "iopub.status.busy", "iopub.execute_input", "iopub.status.idle", "shell.execute_reply",
    }  # fmt: skip
    assert out.metadata.language_info.name == "python"
    assert run("run", tmp_path / "n.ipynb", "--allow-errors", "--quiet").returncode == 0


def test_exec_status_and_sessions_from_the_command_line() -> None:
    assert run("exec", "a = 20", "--session", "s1").returncode == 0
    assert run("exec", "a + 1", "--session", "s1").stdout == "21\n"
    assert "s1" in run("sessions", "list").stdout
    assert run("sessions", "rm", "s1").returncode == 0
    gone = run("sessions", "show", "s1")
    assert gone.returncode == 3
    assert "Traceback" not in gone.stderr
    assert "ready" in run("status").stdout


def test_doctor_is_content_with_the_broker() -> None:
    lines = run("doctor").stdout.splitlines()
    levels = {line[6:26].strip(): line[:5].strip() for line in lines}
    for subject in ("python", "local folder", "broker", "store, workers", "runtime", "local broker"):
        assert levels[subject] == "ok", lines


def test_a_session_has_a_past(session: Session) -> None:
    then = session.execute("x = [1]").revision
    session.execute("x.append(2)")
    assert [revision["head"] for revision in session.revisions()][-2:] == [False, True]
    with session.fork(then, name="before") as before, session.fork() as now:
        assert (before.execute("x").text, now.execute("x").text) == ("[1]", "[1, 2]")
        assert before.info()["forked_from"] == {"session_id": session.session_id, "revision": then}
        assert before.info()["name"] == "before"
        forks = before, now
    for fork in forks:  # closed, and so deleted
        with Session(fork.session_id) as again, pytest.raises(CellError):
            again.execute("x", raise_on_error=True)
    session.checkout(then)
    assert session.execute("x").text == "[1]"
    with pytest.raises(NotFound, match="does not keep revision 999"):
        session.checkout(999)


async def test_an_async_session_has_a_past() -> None:
    async with AsyncSession() as session:
        then = (await session.execute("x = 1")).revision
        await session.execute("x = 2")
        async with await session.fork(then) as child:
            assert (await child.execute("x")).text == "1"
            assert child.keep is False
        await session.checkout(then)
        assert (await session.execute("x")).text == "1"
        assert len(await session.revisions()) >= 4
