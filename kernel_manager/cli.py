"""The console command `serverless-kernel`.

Exit codes: 0 done; 1 the code that was run failed, or a check did; 2 wrong use; 3 no broker, or it refused;
130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

from kernel_manager.client.errors import KernelError
from kernel_manager.commands import broker, doctor, execute, install, run, sessions, status, token
from kernel_manager.launch import installed_version
from kernel_manager.settings import SettingsError

_COMMANDS: Final = (run, execute, sessions, status, doctor, install, token, broker)

_EPILOG: Final = """\
Cells run on the broker that SERVERLESS_KERNEL_URL (with SERVERLESS_KERNEL_TOKEN) names. Without it they run
on a local broker, which starts when needed and ends by itself.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = _new_parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # no second complaint at exit
        return 1
    except (SettingsError, OSError) as error:
        return _complain(error, 2)
    except KernelError as error:
        return _complain(error, 3)
    return code


def _complain(error: Exception, code: int) -> int:
    sys.stderr.write(f"serverless-kernel: {error}\n")
    return code


def _new_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="serverless-kernel",
        description="Run Python cells on Serverless IPyKernel, and look after it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=installed_version())
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(subparsers)
    return parser
