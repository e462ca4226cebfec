"""The past of sessions, for who is not a cell: list it, go back in it, start a new session from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kernel_broker.errors import BrokerError, Conflict
from kernel_broker.sessions.claims import printable
from kernel_broker.sessions.document import SessionDocument
from kernel_broker.sessions.ownership import Caller, find_own, find_record
from kernel_broker.sessions.quotas import Quotas
from kernel_broker.store.contract import RevisionRecord, SessionRecord, Store
from kernel_broker.store.refusals import find_revision
from kernel_broker.wire.ids import Revision, SessionId
from kernel_broker.wire.records import variables

Json = dict[str, Any]


def describe_revisions(kept: Sequence[RevisionRecord]) -> list[Json]:
    """Kept revisions, as they are shown."""
    return [
        {
            "revision": record.revision,
            "at": record.at,
            "execution_count": SessionDocument.from_bytes(record.doc).execution_count,
            "size": record.size,
            "alone": record.alone,
            "run_id": record.run_id,
            "head": record is kept[-1],
        }
        for record in kept
    ]


@dataclass(frozen=True, slots=True)
class NewFork:
    """What a fork is made with."""

    session_id: SessionId
    revision: Revision | None = None
    """None: the head."""
    name: str | None = None
    """None: as the session it comes from."""


class Past:
    """Reads and forks what is committed, wherever the session is; raises `BrokerError`."""

    def __init__(self, store: Store, clock: Callable[[], float], quotas: Quotas) -> None:
        self._store = store
        self._clock = clock
        self._quotas = quotas

    async def kept(self, caller: Caller, session_id: SessionId) -> list[Json]:
        """The kept revisions, oldest first; the last one is the head."""
        await find_record(self._store, caller, session_id)
        return describe_revisions(await self._store.revisions(session_id))

    async def variables(self, caller: Caller, session_id: SessionId) -> Sequence[Json]:
        """The variables of the head: what its records tell of them. No worker is woken."""
        await find_record(self._store, caller, session_id)
        try:
            return printable(variables(await self._store.entries(session_id)))
        except ValueError as error:
            raise BrokerError(f"the session's state is damaged: {error}", code="state_unreadable") from error

    async def fork(self, caller: Caller, session_id: SessionId, new: NewFork) -> bool:
        """Make a session that starts at a revision of another one; False if it has been made before."""
        parent = await find_record(self._store, caller, session_id)
        start = find_revision(session_id, await self._store.revisions(session_id), new.revision)
        document = SessionDocument.from_bytes(parent.doc).at(SessionDocument.from_bytes(start.doc))
        origin: Json = {"session_id": session_id, "revision": start.revision}
        name = document.name if new.name is None else new.name
        document = replace(document, name=name, forked_from=origin)
        now = self._clock()
        record = SessionRecord(
            new.session_id, caller.owner, start.revision, now, now, parent.ttl, document.to_bytes()
        )
        async with self._quotas.room_for(caller, new.session_id):
            is_new = await self._store.fork(session_id, start.revision, record)
        if is_new:
            return True
        known = await find_own(self._store, caller, new.session_id)
        if known is None or not _is_fork_of(known, origin, new.revision is None):
            raise Conflict("this session id is taken; choose another", code="session_id_taken")
        return False


def _is_fork_of(record: SessionRecord, origin: Json, at_any_revision: bool) -> bool:
    known = SessionDocument.from_bytes(record.doc).forked_from or {}
    same = known.get("session_id") == origin["session_id"]
    return same and (at_any_revision or known == origin)
