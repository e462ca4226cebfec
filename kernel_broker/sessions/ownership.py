"""Whose a session is, and who may touch it."""

from contextlib import suppress
from dataclasses import dataclass

from kernel_broker.errors import NotFound
from kernel_broker.store.contract import SessionRecord, Store
from kernel_broker.store.unreadable import DocumentUnreadable
from kernel_broker.wire.ids import SessionId


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. What a caller makes is its own; an admin may do everything with everybody's."""

    owner: str
    is_admin: bool = False

    def may_use(self, record: SessionRecord) -> bool:
        """Whether the session is the caller's to see and to change."""
        return self.is_admin or record.owner == self.owner


async def find_own(store: Store, caller: Caller, session_id: SessionId) -> SessionRecord | None:
    """The session if it is the caller's own; someone else's, readable or not, is None, for admins too."""
    with suppress(NotFound):
        return await find_record(store, Caller(caller.owner), session_id)
    return None


async def find_record(store: Store, caller: Caller, session_id: SessionId) -> SessionRecord:
    """The session; raises `NotFound` in the same words for one that does not exist and for someone else's.

    One's own that cannot be read raises `DocumentUnreadable`.
    """
    try:
        record = await store.get(session_id)
    except DocumentUnreadable as refusal:
        if caller.is_admin or refusal.owner == caller.owner:
            raise
        record = None
    if record is None or not caller.may_use(record):
        raise NotFound(f"no session {session_id!r}", code="session_not_found")
    return record
