"""Identifiers, each its own type so that one cannot pass for another."""

import re
import secrets
from typing import NewType

SessionId = NewType("SessionId", str)
RunId = NewType("RunId", str)
ChunkId = NewType("ChunkId", str)
Revision = NewType("Revision", int)
"""Number of a session's committed state: 0 for a new session, one more with each commit."""
Epoch = NewType("Epoch", int)
"""Fencing number of a lease: grows with each new holder."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")

_CHUNK = re.compile(r"[0-9a-f]{1,64}")

ID_RULE = "1 to 128 letters, digits, '.', '_', ':' or '-', starting with a letter or digit"


def is_valid_id(text: str) -> bool:
    """Whether `text` may name a session or a run (see `ID_RULE`)."""
    return _ID.fullmatch(text) is not None


def is_chunk_id(value: object) -> bool:
    """Whether it may name a chunk."""
    return isinstance(value, str) and _CHUNK.fullmatch(value) is not None


def new_session_id() -> SessionId:
    """A fresh, unguessable session id."""
    return SessionId(secrets.token_hex(16))


def new_run_id() -> RunId:
    """A fresh, unguessable run id."""
    return RunId(secrets.token_hex(16))
