"""`serverless-kernel doctor`: check the set-up and say what is wrong."""

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kernel_manager.settings import read_settings

if TYPE_CHECKING:
    from kernel_manager.diagnosis import Finding


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "doctor",
        help="check the set-up and say what is wrong",
        description="Check the set-up: Python, packages, kernelspec, provisioner, broker. Starts the local "
        "broker if that is the one used. Exits with 1 if a check fails.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check, print, and fail if a check did."""
    from kernel_manager.diagnosis import examine_now  # it looks at everything, so it imports much

    findings = examine_now(read_settings())
    if arguments.json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=2) + "\n")
    else:
        sys.stdout.writelines(_to_line(finding) for finding in findings)
    return 1 if any(finding.level == "fail" for finding in findings) else 0


def _to_line(finding: "Finding") -> str:
    line = f"{finding.level:<5} {finding.subject:<20} {finding.detail}\n"
    return line + f"{'':<5} {'':<20} -> {finding.advice}\n" if finding.advice else line
