"""`serverless-kernel token`: make an access token for a broker's file of tokens."""

import argparse
import sys
from typing import Any

from kernel_broker.wire.identity import OWNER_RULE, TokenLine, digest, is_valid_owner, new_token


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "token",
        help="make an access token",
        description="Make an access token. Prints the token, which is for its owner and is shown nowhere "
        "again, and the line for the broker's KERNEL_BROKER_TOKENS_FILE, which has only the token's hash.",
    )
    parser.add_argument("owner", metavar="OWNER", help="whose token it is, without spaces")
    parser.add_argument("--admin", action="store_true", help="it opens the sessions of everybody")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make it and print it."""
    if not is_valid_owner(arguments.owner) or len(arguments.owner.split()) != 1:
        sys.stderr.write(f"serverless-kernel: an owner's name is {OWNER_RULE}, without spaces\n")
        return 2
    token = new_token()
    line = TokenLine(arguments.owner, "admin" if arguments.admin else "user", digest(token))
    sys.stdout.write(f"{token}\n{line}\n")
    return 0
