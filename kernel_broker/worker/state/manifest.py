"""The one entry that vouches for all others: format, Python, libraries, and a keyed digest of each entry."""

import hashlib
import hmac
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kernel_broker.wire.text import from_json, to_sorted_json
from kernel_broker.worker.state.errors import StateCorrupt, StateMismatch

NAME = "manifest"
FORMAT = 1
_SIZE = 20


def digest(data: bytes, key: bytes, name: str) -> bytes:
    """A keyed digest of an entry, bound to its name."""
    maker = hashlib.blake2b(name.encode() + b"\0", digest_size=_SIZE, key=key, person=b"state entry")
    maker.update(data)
    return maker.digest()


@dataclass
class Manifest:
    """What is recorded about a state."""

    entries: dict[str, str] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)

    def seal(self, key: bytes) -> bytes:
        """As bytes, led by a keyed tag."""
        document = {
            "format": FORMAT,
            "python": list(sys.version_info[:3]),
            "magic": importlib.util.MAGIC_NUMBER.hex(),
            "libraries": self.libraries,
            "entries": self.entries,
        }
        body = to_sorted_json(document).encode()
        return digest(body, key, NAME) + body


def unseal(entries: Mapping[str, bytes], key: bytes) -> Manifest:
    """The manifest of `entries`, once every one of them is verified."""
    sealed = entries.get(NAME)
    if sealed is None:
        raise StateCorrupt("the state has no manifest")
    tag, body = sealed[:_SIZE], sealed[_SIZE:]
    if not hmac.compare_digest(tag, digest(body, key, NAME)):
        raise StateCorrupt("the manifest of the state is damaged or was not written by this session")
    document = _read(body)
    recorded = document["entries"]
    for name in recorded.keys() - entries.keys():
        raise StateCorrupt(f"entry {name!r} of the state is missing")
    for name, data in entries.items():
        if name != NAME and digest(data, key, name).hex() != recorded.get(name):
            raise StateCorrupt(f"entry {name!r} of the state is damaged or belongs to another revision")
    return Manifest(recorded, document["libraries"])


def _read(body: bytes) -> dict[str, Any]:
    """The document; its tag is right, so that this session's key made it, though not always this module."""
    try:
        document = from_json(body)
        _check_python(document)
        parts = document["entries"], document["libraries"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StateCorrupt("the manifest of the state cannot be read") from error
    if not all(isinstance(part, dict) for part in parts):
        raise StateCorrupt("the manifest of the state cannot be read")
    return dict(document)


def _check_python(document: dict[str, Any]) -> None:
    if document["format"] != FORMAT:
        raise StateMismatch(f"the state has format {document['format']}; this version reads format {FORMAT}")
    if document["magic"] != importlib.util.MAGIC_NUMBER.hex():
        made = ".".join(map(str, document["python"]))
        here = ".".join(map(str, sys.version_info[:3]))
        raise StateMismatch(f"the state was made by Python {made} and cannot be loaded by Python {here}")
