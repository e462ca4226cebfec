"""`serverless-kernel run`: run a notebook."""

import argparse
import sys
from pathlib import Path
from typing import Any

import nbformat
from tqdm import tqdm

from kernel_manager.commands.execute import report
from kernel_manager.notebook import NotebookRun, RunRules, is_runnable, to_file
from kernel_manager.session_blocking import Session
from kernel_manager.settings import SettingsError


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "run",
        help="run a notebook",
        description="Run a notebook from top to bottom in a fresh session, in the notebook's folder. Stops "
        "at the first cell that fails, shows its traceback, and exits with 1; what ran until then is "
        "written all the same.",
    )
    parser.add_argument("notebook", type=Path, metavar="NOTEBOOK", help="the .ipynb file")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="write the notebook that ran here")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="interrupt a cell after this long")
    parser.add_argument("--allow-errors", action="store_true", help="go on after a cell that raises")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the notebook and write what came of it."""
    notebook = _read(arguments.notebook)
    folder = arguments.notebook.absolute().parent
    if arguments.output is not None and not arguments.output.absolute().parent.is_dir():
        raise SettingsError(f"cannot write {arguments.output}: there is no such folder")
    try:
        with Session(name=arguments.notebook.name, cwd=str(folder)) as session:
            return _run_cells(notebook, session, arguments)
    finally:
        if arguments.output is not None:
            arguments.output.write_text(to_file(notebook), encoding="utf-8")


def _run_cells(notebook: nbformat.NotebookNode, session: Session, arguments: argparse.Namespace) -> int:
    total = sum(map(is_runnable, notebook.cells))
    code = 0
    with tqdm(total=total, unit="cell", disable=arguments.quiet, desc=arguments.notebook.name) as bar:
        rules = RunRules(arguments.timeout, arguments.allow_errors, bar.set_postfix_str)
        for done in NotebookRun(notebook, session, rules).cells():
            bar.set_postfix_str("", refresh=False)
            bar.update()
            if done.stops:
                bar.close()
                sys.stderr.write(f"cell {done.index + 1} of {arguments.notebook} failed\n")
                code = report(done.execution)
    return code


def _read(path: Path) -> nbformat.NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # nbformat raises whatever the file makes its parts raise
        raise SettingsError(f"{path} is not a notebook: {error}") from error
