"""`serverless-kernel broker`: serve in the foreground."""

import argparse
import os
import sys
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "broker",
        help="run a broker in the foreground",
        description="Run a broker in the foreground, as `python -m kernel_broker` does. Its settings are "
        "KERNEL_BROKER_* variables; `serverless-kernel broker -- --help` lists them.",
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="handed on to the broker")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Become the broker."""
    handed_on = [text for text in arguments.arguments if text != "--"]
    os.execv(sys.executable, [sys.executable, "-m", "kernel_broker", *handed_on])  # noqa: S606
