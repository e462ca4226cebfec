"""Runs a notebook file with a progress bar, for `serverless-kernel run`."""

import argparse
import sys
from pathlib import Path

import nbformat
from tqdm import tqdm

from kernel_manager.commands.execute import report
from kernel_manager.notebook import NotebookRun, RunRules, is_runnable, to_file
from kernel_manager.session_blocking import Session
from kernel_manager.settings import SettingsError


def run_file(arguments: argparse.Namespace) -> int:
    """Run the notebook and write what came of it; returns the exit code."""
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
