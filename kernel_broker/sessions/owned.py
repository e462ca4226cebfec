"""A session's record, for who owns it: to anyone else there is no such session."""

from kernel_broker.errors import NotFound
from kernel_broker.store.contract import SessionRecord, Store
from kernel_broker.store.unreadable import DocumentUnreadable
from kernel_broker.wire.ids import SessionId


async def owned(store: Store, owner: str, session_id: SessionId) -> SessionRecord:
    """The record; raises `NotFound`, also where the session is someone else's and cannot be read."""
    try:
        record = await store.get(session_id)
    except DocumentUnreadable as refusal:
        if refusal.owner == owner:
            raise
        record = None
    if record is None or record.owner != owner:
        raise NotFound(f"no session {session_id!r}", code="session_not_found")
    return record
