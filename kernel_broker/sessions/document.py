"""The session document: what is known of a session besides its state, stored as JSON with every commit."""

import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from kernel_broker.errors import BrokerError


class DocumentDamaged(BrokerError):
    """What is stored as a session's document is none."""

    code = "state_unreadable"


@dataclass(slots=True)
class SessionDocument:
    """What `sessions` remembers of a session; the store sees it as bytes."""

    name: str = ""
    cwd: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    files: str = "host"
    """Where its files are: in folders of the `host`, or part of its `state`."""
    recompute: bool = False
    """Whether lost variables are made again by running their cells again, unless a cell says otherwise."""
    runtime: dict[str, Any] = field(default_factory=dict)
    """The runtime that last committed: a namespace is loadable where its `magic` is the same."""
    key: str = field(default_factory=lambda: secrets.token_hex(32))
    """Names this session's chunks; known to its workers, never shown."""
    execution_count: int = 0
    pinned: list[dict[str, Any]] = field(default_factory=list)
    comms: dict[str, dict[str, Any]] = field(default_factory=dict)
    carried: dict[str, str] = field(default_factory=dict)
    """Pages of working files that a restart has still to put back among the entries."""
    forked_from: dict[str, Any] | None = None
    """The session and revision this one started from; it has that one's `key`, to share its chunks."""

    def at(self, old: "SessionDocument") -> "SessionDocument":
        """This document, with the state that `old` describes."""
        return replace(
            self,
            execution_count=old.execution_count,
            pinned=old.pinned,
            comms=old.comms,
            runtime=old.runtime,
            carried=old.carried,
        )

    def to_bytes(self) -> bytes:
        """The document as stored."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> "SessionDocument":
        """Read a stored document; members of other versions are ignored. Raises `DocumentDamaged`."""
        known = cls.__dataclass_fields__
        try:
            return cls(**{name: value for name, value in json.loads(raw).items() if name in known})
        except (ValueError, AttributeError, RecursionError) as error:
            raise DocumentDamaged(
                "the session cannot be read: its document was changed in the store, or it is encrypted and "
                "KERNEL_BROKER_ENCRYPTION_KEYS is not set"
            ) from error
