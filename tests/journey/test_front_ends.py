"""Front ends that know nothing of us run notebooks and sessions on *Serverless Python*."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pexpect
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from fixtures.broker import Broker
from fixtures.kernel import ARGV, PROVISIONED

CELLS = (
    "print('hello')\nx = [1]",
    "x.append(2)\nx",
    "from IPython.display import display\nhandle = display('before', display_id=True)",
    "handle.update('after')",
    "import asyncio\nawait asyncio.sleep(0)\n!echo from the shell",
)


def notebook(*cells: str, kernel: str = PROVISIONED) -> Any:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    made.metadata["kernelspec"] = {"name": kernel, "display_name": "Serverless Python", "language": "python"}
    return made


def check(done: Any) -> None:
    texts = ["".join(o.get("text") or o["data"]["text/plain"] for o in cell.outputs) for cell in done.cells]
    assert texts == ["hello\n", "[1, 2]", "'after'", "", "from the shell\r\n"]
    assert [cell.execution_count for cell in done.cells] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("kernel", [PROVISIONED, ARGV])
def test_nbclient(remote: Broker, kernel: str) -> None:
    done = NotebookClient(notebook(*CELLS, kernel=kernel), timeout=60).execute()
    check(done)


async def test_nbclient_async(remote: Broker) -> None:
    check(await NotebookClient(notebook(*CELLS), timeout=60).async_execute())


def test_nbclient_stops_at_an_error(remote: Broker) -> None:
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        NotebookClient(notebook("1/0", "print('never')"), timeout=60).execute()


def test_papermill(remote: Broker, tmp_path: Path) -> None:
    made = notebook("who = 'nobody'", "print(f'for {who}')")
    made.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(made, tmp_path / "in.ipynb")
    papermill.execute_notebook(
        tmp_path / "in.ipynb", tmp_path / "out.ipynb", {"who": "you"}, progress_bar=False
    )
    assert nbformat.read(tmp_path / "out.ipynb", 4).cells[-1].outputs[0].text == "for you\n"


def jupyter(*arguments: str, cwd: Path, stdin: str | None = None) -> str:
    command = [sys.executable, "-m", "jupyter", *arguments]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=cwd, input=stdin, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nbconvert(remote: Broker, tmp_path: Path) -> None:
    nbformat.write(notebook(*CELLS), tmp_path / "in.ipynb")
    jupyter("nbconvert", "--execute", "--to", "notebook", "--output", "out", "in.ipynb", cwd=tmp_path)
    check(nbformat.read(tmp_path / "out.ipynb", 4))


def test_jupyter_run(remote: Broker, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("x = 6\nprint(x * 7)")
    assert jupyter("run", f"--kernel={PROVISIONED}", "script.py", cwd=tmp_path) == "42\n"


def test_jupyter_console(remote: Broker, tmp_path: Path) -> None:
    environment = {**os.environ, "IPYTHONDIR": str(tmp_path), "TERM": "dumb", "JUPYTER_CONSOLE_TEST": "1"}
    command = ["-m", "jupyter_console", f"--kernel={PROVISIONED}", "--simple-prompt"]
    console = pexpect.spawn(sys.executable, command, env=environment, encoding="utf-8", timeout=60)
    with console:
        console.expect(r"In \[1\]")
        console.sendline("x = 6 * 7; x")
        console.expect(r"Out\[1\]: *42")
        console.expect(r"In \[2\]")
        console.sendline("print(input('who? ')[::-1])")
        console.expect(r"who\? ")
        console.sendline("uoy")
        console.expect("you")
        console.expect(r"In \[3\]")
        console.sendline("exit")
        console.expect(pexpect.EOF)
