"""`serverless-kernel sessions`: list, show and remove sessions."""

import argparse
import asyncio
import json
import sys
import time
from typing import Any, Final

from kernel_manager.client.rest import AsyncClient
from kernel_manager.connect import new_client
from kernel_manager.settings import read_settings

_HEADINGS: Final[tuple[str, ...]] = ("SESSION", "NAME", "STATE", "REVISION", "SIZE", "IDLE")


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "sessions", help="list, show or remove sessions", description="List, show or remove sessions."
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="one line a session")
    listing.add_argument("--owner", help="for admins: whose sessions; '*' for everybody's")
    listing.set_defaults(act=_list)
    showing = actions.add_parser("show", help="everything about one")
    showing.set_defaults(act=_show)
    removal = actions.add_parser("rm", help="end sessions and forget their state")
    removal.set_defaults(act=_remove)
    showing.add_argument("session", metavar="ID")
    removal.add_argument("session", metavar="ID", nargs="+")
    for action in (listing, showing, removal):
        action.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do it on the configured broker."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    async with new_client(read_settings()) as client:
        await arguments.act(client, arguments)
    return 0


async def _list(client: AsyncClient, arguments: argparse.Namespace) -> None:
    sessions = await client.sessions(arguments.owner)
    if arguments.json:
        _print_json(sessions)
        return
    rows = [_HEADINGS, *map(_to_row, sessions)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


async def _show(client: AsyncClient, arguments: argparse.Namespace) -> None:
    session = await client.session(arguments.session)
    if arguments.json:
        _print_json(session)
        return
    width = max(map(len, session))
    for name, value in session.items():
        text = value if isinstance(value, str) else json.dumps(value)
        sys.stdout.write(f"{name.ljust(width)}  {text}\n")


async def _remove(client: AsyncClient, arguments: argparse.Namespace) -> None:
    for session_id in arguments.session:
        await client.delete_session(session_id)
    if arguments.json:
        _print_json({"removed": arguments.session})


def _to_row(session: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(session["session_id"]),
        str(session.get("name") or "-"),
        str(session["state"]),
        str(session["revision"]),
        _to_size(session.get("size") or 0),
        _to_age(session.get("last_activity")),
    )


def _to_size(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _to_age(moment: Any) -> str:
    if not isinstance(moment, int | float):
        return str(moment or "-")
    seconds = max(0, int(time.time() - moment))
    for limit, unit, divisor in ((120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{seconds // divisor} {unit}"
    return f"{seconds // 86_400} d"


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
