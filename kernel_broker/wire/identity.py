"""Owners' names, and access tokens with the lines of the file that says whose they are.

A line is `OWNER ROLE sha256:HEX`: it has the token's hash, so that who reads the file can use none of them.
The hash is a plain SHA-256: a token has 256 random bits, which nobody finds by trying, however fast a try is.
A slow hash defends what people make up, and here every request would pay for it.
"""

import hashlib
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal

DEFAULT_OWNER: Final = "default"
"""The owner where nobody is told apart: no token is asked for, or one that opens everything was sent."""
EVERYBODY: Final = "*"
"""Not an owner: all of them, in a list of sessions."""
OWNER_RULE: Final = f"1 to 200 printable characters, and neither {DEFAULT_OWNER!r} nor {EVERYBODY!r}"

Role = Literal["user", "admin"]

_LINE = re.compile(r"(?P<owner>\S+)\s+(?P<role>user|admin)\s+sha256:(?P<digest>[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class TokenLine:
    """Whose a token is, and what it opens."""

    owner: str
    role: Role
    digest: str

    def __str__(self) -> str:
        """As it is written in the file."""
        return f"{self.owner} {self.role} sha256:{self.digest}"


def is_valid_owner(name: str) -> bool:
    """Whether somebody may be called this (see `OWNER_RULE`)."""
    return 0 < len(name) <= 200 and name.isprintable() and name not in (DEFAULT_OWNER, EVERYBODY)


def is_loopback(host: str) -> bool:
    """Whether the name can mean this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def new_token() -> str:
    """A fresh token; it can be told by its first letters when it turns up where it should not."""
    return f"slk_{secrets.token_urlsafe(32)}"


def digest(token: str) -> str:
    """The hash by which a token is known."""
    return hashlib.sha256(token.encode()).hexdigest()


def read_token_lines(text: str) -> Iterator[TokenLine]:
    """The lines of a file; blank ones and those that begin with '#' say nothing. Raises ValueError."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise ValueError(f"line {number} is not of the form OWNER user|admin sha256:HEX")
        if not is_valid_owner(found["owner"]):
            raise ValueError(f"line {number}: an owner's name is {OWNER_RULE}")
        yield TokenLine(found["owner"], "admin" if found["role"] == "admin" else "user", found["digest"])
