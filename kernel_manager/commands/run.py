"""`serverless-kernel run`: run a notebook."""

import argparse
from pathlib import Path
from typing import Any


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
    from kernel_manager.notebook_file import run_file  # reading notebooks is a second's import

    return run_file(arguments)
