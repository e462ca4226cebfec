"""`serverless-kernel install`: write a kernelspec."""

import argparse
import sys
from typing import Any

from kernel_manager.settings import KERNEL_NAME, SettingsError, to_endpoint


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "install",
        help="install a kernelspec for another name, environment or broker",
        description="Install a kernelspec, as `ipykernel install` does. The package brings one named "
        f"{KERNEL_NAME}; this writes further ones. Cells run on the Python that runs this command, "
        "or on the broker at --url.",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--user", action="store_true", help="for this user, instead of system-wide")
    where.add_argument(
        "--sys-prefix",
        action="store_const",
        const=sys.prefix,
        dest="prefix",
        help="into this Python's environment",
    )
    where.add_argument("--prefix", help="into another environment's folder")
    parser.add_argument("--name", default=KERNEL_NAME, help=f"the kernel's name (default: {KERNEL_NAME})")
    parser.add_argument("--display-name", help="what launchers show (default: the name)")
    parser.add_argument("--url", help="the broker to run on (default: the local broker)")
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        type=_read_pair,
        help="an environment variable for the kernel; may be given more than once",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Install, and say where."""
    from kernel_manager.install import SpecRequest, install  # jupyter_client is a slow import

    if arguments.url:
        to_endpoint(arguments.url, None)  # refuses what is no URL
    request = SpecRequest(arguments.name, arguments.display_name, arguments.url, dict(arguments.env))
    try:
        folder = install(request, user=arguments.user, prefix=arguments.prefix)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    sys.stdout.write(f"Installed kernelspec {arguments.name} in {folder}\n")
    return 0


def _read_pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return name, value
