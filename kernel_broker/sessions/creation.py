"""What a session is created with."""

from dataclasses import dataclass
from typing import Any

from kernel_broker.sessions.document import SessionDocument
from kernel_broker.sessions.file_rules import FilesMode
from kernel_broker.sessions.ownership import Caller
from kernel_broker.sessions.surroundings import SessionLimits
from kernel_broker.store.contract import SessionRecord
from kernel_broker.wire.ids import Revision, SessionId

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NewSession:
    """What a session is created with."""

    session_id: SessionId
    caller: Caller
    name: str = ""
    cwd: str | None = None
    env: dict[str, str] | None = None
    limits: Json | None = None
    files: FilesMode | None = None
    recompute: bool | None = None
    idle_ttl: float | None = None

    def record(self, limits: SessionLimits, runtime: Json, now: float, ttl: float) -> SessionRecord:
        """As it is stored first; raises `BrokerError` if its limits are more than may be given."""
        limits.files.within(self.limits or {})
        document = SessionDocument(
            name=self.name,
            cwd=self.cwd,
            env=self.env or {},
            limits=self.limits or {},
            files=limits.files.choose(self.files),
            recompute=limits.recompute if self.recompute is None else self.recompute,
            runtime=runtime,
        )
        return SessionRecord(
            session_id=self.session_id,
            owner=self.caller.owner,
            revision=Revision(0),
            created_at=now,
            last_activity=now,
            ttl=self.idle_ttl or ttl,
            doc=document.to_bytes(),
        )
