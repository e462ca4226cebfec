"""Tokens listed in a file: a line each, with the owner, the role and the hash (see `wire/identity.py`)."""

from pathlib import Path

from kernel_broker.api.identity.watched_file import WatchedFile
from kernel_broker.sessions.ownership import Caller
from kernel_broker.wire.identity import digest, read_token_lines


class TokenFile:
    """The file is read again when it changes; if it cannot be, what it last said holds."""

    def __init__(self, path: Path) -> None:
        """Read the file; raises ValueError with what is wrong with it."""
        self._file = WatchedFile(path, _read)

    async def identify(self, token: str) -> Caller | None:
        """Whose line has the token's hash.

        The hash is looked up, not compared in constant time: nobody can choose it, so time tells nothing.
        """
        return self._file.content().get(digest(token))

    async def close(self) -> None:
        """Nothing is held."""


def _read(text: str) -> dict[str, Caller]:
    callers: dict[str, Caller] = {}
    for line in read_token_lines(text):
        if line.digest in callers:
            raise ValueError(f"the same token is listed twice, the second time for {line.owner!r}")
        callers[line.digest] = Caller(line.owner, line.role == "admin")
    return callers
