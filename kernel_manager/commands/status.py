"""`serverless-kernel status`: which broker, and what it is doing. Starts nothing."""

import argparse
import asyncio
import json
import sys
from collections import Counter
from typing import Any

from kernel_manager.client.errors import KernelError
from kernel_manager.client.rest import AsyncClient
from kernel_manager.connect import to_connect
from kernel_manager.local import read_status
from kernel_manager.settings import Settings, read_settings


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "status",
        help="which broker is used, and what it is doing",
        description="Show which broker is used and what it is doing. Starts nothing. Exits with 3 if a "
        "configured broker does not answer.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look and tell."""
    settings = read_settings()
    found = asyncio.run(_look(settings))
    if arguments.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        for name, value in found.items():
            sys.stdout.write(f"{name.ljust(9)} {value}\n")
    return 0 if settings.endpoint is None or "error" not in found else 3


async def _look(settings: Settings) -> dict[str, Any]:
    if settings.endpoint is not None:
        found: dict[str, Any] = {"broker": str(settings.endpoint)}
    else:
        local = read_status(settings.local)
        log, state_dir = str(settings.local.log_file), str(settings.local.state_dir)
        found = {"broker": f"local, unix:{settings.local.socket}", "log": log, "store": state_dir}
        if not local.listening:
            state = "starting or ending" if local.running else "not running; the next cell starts it"
            return {**found, "state": state}
        found["pid"] = local.record.get("pid")
    async with AsyncClient(to_connect(settings), patience=2) as client:
        try:
            runtime, sessions = await client.runtime(), await client.sessions()
        except KernelError as error:
            return {**found, "error": str(error)}
    states = Counter(str(session["state"]) for session in sessions)
    return {
        **found,
        "state": "ready",
        "python": runtime.get("python"),
        "runtime": runtime.get("image"),
        "sessions": ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none",
    }
