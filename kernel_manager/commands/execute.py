"""`serverless-kernel exec`: run some code."""

import argparse
import getpass
import sys
from typing import Any

from kernel_broker.wire.messages import NOTICE
from kernel_manager.results import Execution, Result
from kernel_manager.session_blocking import Session
from kernel_manager.settings import SettingsError


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "exec",
        help="run code and print what it gives",
        description="Run code and print what it gives. Exits with 1 if it raises.",
    )
    parser.add_argument("code", metavar="CODE", help="the code; - reads it from stdin")
    parser.add_argument("--session", metavar="ID", help="run in this session, made if need be, and keep it")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="interrupt the code after this long")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the code, its output as it comes."""
    from_stdin = arguments.code == "-"
    code = _read_stdin() if from_stdin else arguments.code
    with Session(arguments.session) as session:
        execution = session.execute(
            code,
            timeout=arguments.timeout,
            on_stdout=_write_out,
            on_stderr=_write_err,
            on_result=_show,
            on_wait=_say_wait,
            on_input=None if from_stdin or not sys.stdin.isatty() else _ask,
        )
    return report(execution)


def report(execution: Execution) -> int:
    """Print notices and the failure, if any, on stderr; returns the exit code."""
    for notice in execution.notices:
        sys.stderr.write(f"{notice}\n")
    if execution.error is not None:
        sys.stderr.write(f"{execution.error}\n")
    elif execution.problem is not None:
        sys.stderr.write(f"{execution.problem.get('detail', execution.problem)}\n")
    return 0 if execution.status == "ok" else 1


def _read_stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise SettingsError(f"the code on stdin is not UTF-8: {error}") from error


def _write_out(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _write_err(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _show(result: Result) -> None:
    if NOTICE not in result.metadata:  # notices are told at the end
        _write_out(f"{result}\n")


def _say_wait(reason: str) -> None:
    _write_err(f"[{reason}]\n")


def _ask(prompt: str, hidden: bool) -> str:
    return getpass.getpass(prompt) if hidden else input(prompt)
