"""Sessions at rest brought under the first key, so that an old one can be thrown away."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Final

from kernel_broker.store.contract import Commit, LeaseHeld, SessionMissing
from kernel_broker.store.keyring import key_of
from kernel_broker.store.sealed import SealedStore
from kernel_broker.store.unreadable import Unreadable
from kernel_broker.wire.ids import SessionId

_LEASE_SECONDS: Final = 30.0


@dataclass
class Rekeyed:
    """What came of it, session by session."""

    done: int = 0
    busy: list[SessionId] = field(default_factory=list)
    """In use: their next commit does it."""
    unencrypted: list[SessionId] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    """Why each of them could not be read."""

    def lines(self) -> Iterator[str]:
        """What to tell the operator."""
        yield f"{self.done} session(s) brought under the first key"
        if self.busy:
            yield f"{len(self.busy)} in use, whose next cell does it: {', '.join(self.busy)}"
        if self.unencrypted:
            yield f"{len(self.unencrypted)} from before there were keys, which stay unencrypted"
        yield from self.unreadable


async def rekey(store: SealedStore) -> Rekeyed:
    """Seal the document of every session anew, where another key than the first one sealed it.

    Each gets a revision more, which is like the one before. Revisions before that stay as they are, and are
    out of reach once their key is gone.
    """
    result = Rekeyed()
    for sealed in await store.inner.list():
        name = key_of(sealed.doc)
        if name is None:
            result.unencrypted.append(sealed.session_id)
        elif name != store.keyring.first:
            await _rekey(store, sealed.session_id, result)
    return result


async def _rekey(store: SealedStore, session_id: SessionId, result: Rekeyed) -> None:
    try:
        lease = await store.acquire(session_id, f"rekey-{token_hex(8)}", _LEASE_SECONDS)
    except LeaseHeld:
        result.busy.append(session_id)
        return
    except SessionMissing:
        return
    try:
        record = await store.get(session_id)
        if record is not None:
            await store.commit(Commit(lease, record.revision, record.last_activity, record.doc))
            result.done += 1
    except Unreadable as refusal:
        result.unreadable.append(str(refusal))
    finally:
        await store.release(lease)
