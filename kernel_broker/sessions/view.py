"""A session as its owner is shown it."""

from typing import Any

from kernel_broker.sessions.document import SessionDocument
from kernel_broker.sessions.live import LiveSession
from kernel_broker.sessions.surroundings import Upkeep
from kernel_broker.store.contract import SessionRecord

Json = dict[str, Any]


def view(record: SessionRecord, live: LiveSession | None, upkeep: Upkeep) -> Json:
    """The stored session, and what of it is at this pod; raises `DocumentDamaged`."""
    document = SessionDocument.from_bytes(record.doc)
    return {
        "session_id": record.session_id,
        "name": document.name,
        "owner": record.owner,
        "state": live.state if live is not None else "cold",
        "revision": record.revision,
        "execution_count": document.execution_count,
        "runtime": document.runtime,
        "cwd": document.cwd,
        "limits": document.limits,
        "files": document.files,
        "recompute": document.recompute,
        "idle_ttl": record.ttl,
        "created_at": record.created_at,
        "last_activity": record.last_activity,
        "size": record.size,
        "pinned": document.pinned,
        "comms": document.comms,
        "background": live is not None and live.has_background,
        "forked_from": document.forked_from,
        "warm_until": warm_until(live, upkeep),
    }


def warm_until(live: LiveSession | None, upkeep: Upkeep) -> float | None:
    """When its worker is dropped if nobody uses it; Unix seconds."""
    if live is None or live.state == "cold":
        return None
    idle = upkeep.worker_idle
    return live.last_used + (max(idle, upkeep.pinned_idle) if live.is_pinned else idle)
