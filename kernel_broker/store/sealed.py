"""A store whose content is encrypted and authenticated before it gets there: wraps any other one.

Sealed are documents, entries, chunks and run logs (see `seals`, `keyring`). Names, numbers, times and owners
are not; an owner is also in the document, and must be the same there. Sizes are those of the sealed bytes.

What was changed, moved or put there by another is refused: a document, entries and a run log with
`Unreadable`. A damaged chunk is shown as empty, which no chunk is, so that it costs what needs it and no
more; `discard` takes it by what it was shown as.
"""

import asyncio
import builtins
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from secrets import token_bytes
from typing import Final, TypeVar

from kernel_broker.store.batches import by_count, by_size
from kernel_broker.store.contract import (
    Buffer,
    Commit,
    Lease,
    RevisionRecord,
    RunRecord,
    SessionRecord,
    Store,
)
from kernel_broker.store.keyring import Keyring
from kernel_broker.store.known import Known, about, opened, sealed_commit, sealed_doc
from kernel_broker.store.refusals import session_missing
from kernel_broker.store.seals import SECRET_BYTES, FamilySeal, Kind
from kernel_broker.store.unreadable import DocumentUnreadable, EntriesUnreadable, Unreadable
from kernel_broker.wire.ids import ChunkId, Revision, RunId, SessionId

log = logging.getLogger(__name__)

T = TypeVar("T")
Name = TypeVar("Name", bound=str)

_INLINE: Final = 256 * 2**10
"""Bytes sealed or opened in the event loop; more go to a thread."""
_BYTES_AT_ONCE: Final = 8 << 20
_CHUNKS_AT_ONCE: Final = 8
_KNOWN: Final = 512
"""Sessions whose secret is remembered; another one's costs a look at its document."""


class SealedStore:
    """`Store` over another one, which sees no content."""

    def __init__(self, inner: Store, keyring: Keyring) -> None:
        self.inner = inner
        self.keyring = keyring
        self._known: OrderedDict[SessionId, Known] = OrderedDict()

    async def open(self) -> None:
        await self.inner.open()

    async def close(self) -> None:
        await self.inner.close()

    async def ping(self) -> None:
        await self.inner.ping()

    async def create(self, record: SessionRecord) -> bool:
        known = Known(record.owner, FamilySeal(token_bytes(SECRET_BYTES)))
        doc = sealed_doc(self.keyring, known, record.session_id, record.revision, record.doc)
        made = await self.inner.create(replace(record, doc=doc))
        if made:
            self._remember(record.session_id, known)
        return made

    async def get(self, session_id: SessionId) -> SessionRecord | None:
        record = await self.inner.get(session_id)
        if record is None:
            self._known.pop(session_id, None)
            return None
        shown, known = opened(self.keyring, record)
        self._remember(session_id, known)
        return shown

    async def list(self, owner: str | None = None) -> builtins.list[SessionRecord]:
        records = await self.inner.list(owner)
        return await _beside(sum(len(record.doc) for record in records), partial(self._readable, records))

    async def touch(self, session_id: SessionId, now: float) -> None:
        await self.inner.touch(session_id, now)

    async def delete(self, session_id: SessionId) -> bool:
        self._known.pop(session_id, None)
        return await self.inner.delete(session_id)

    async def acquire(self, session_id: SessionId, holder: str, ttl: float) -> Lease:
        lease = await self.inner.acquire(session_id, holder, ttl)
        self._known.pop(session_id, None)  # it may be a namesake of the session that was known
        return lease

    async def renew(self, lease: Lease, ttl: float) -> None:
        await self.inner.renew(lease, ttl)

    async def release(self, lease: Lease) -> None:
        await self.inner.release(lease)

    async def begin_run(
        self, lease: Lease, run_id: RunId, now: float, ttl: float, token: str = ""
    ) -> RunRecord | None:
        return await self._read_run(
            lease.session_id, await self.inner.begin_run(lease, run_id, now, ttl, token)
        )

    async def get_run(self, session_id: SessionId, run_id: RunId) -> RunRecord | None:
        return await self._read_run(session_id, await self.inner.get_run(session_id, run_id))

    async def entries(self, session_id: SessionId) -> dict[str, bytes]:
        intact, damaged = await self._unseal(session_id, "entry", await self.inner.entries(session_id))
        if damaged:
            raise EntriesUnreadable(session_id, damaged, intact)
        return intact

    async def missing(self, session_id: SessionId, chunk_ids: Collection[ChunkId]) -> set[ChunkId]:
        return await self.inner.missing(session_id, chunk_ids)

    async def put_chunks(self, session_id: SessionId, chunks: Mapping[ChunkId, Buffer]) -> None:
        seal = (await self._know(session_id)).seal
        if seal is None:
            await self.inner.put_chunks(session_id, chunks)
            return
        for batch in by_size(chunks, _BYTES_AT_ONCE):
            size = sum(map(len, batch.values()))
            sealed = await _beside(size, partial(seal.seal, "chunk", batch))
            await self.inner.put_chunks(session_id, sealed)

    async def get_chunks(self, session_id: SessionId, chunk_ids: Collection[ChunkId]) -> dict[ChunkId, bytes]:
        found: dict[ChunkId, bytes] = {}
        for batch in by_count(chunk_ids, _CHUNKS_AT_ONCE):
            found |= await self._shown(session_id, await self.inner.get_chunks(session_id, batch))
        return found

    async def discard(self, session_id: SessionId, damaged: Mapping[ChunkId, bytes]) -> None:
        for batch in by_count(damaged, _CHUNKS_AT_ONCE):
            held = await self.inner.get_chunks(session_id, batch)
            shown = await self._shown(session_id, held)
            same = {chunk_id: held[chunk_id] for chunk_id in held if shown[chunk_id] == damaged[chunk_id]}
            if same:
                await self.inner.discard(session_id, same)

    async def commit(self, commit: Commit) -> Revision:
        session_id = commit.lease.session_id
        known = await self._know(session_id)
        size = sum(map(len, commit.put.values()))
        sealed = await _beside(size, partial(sealed_commit, self.keyring, known, commit))
        return await self.inner.commit(sealed)

    async def reset(self, lease: Lease, doc: bytes, now: float) -> Revision:
        return await self.inner.reset(lease, await self._next_doc(lease.session_id, doc), now)

    async def revisions(self, session_id: SessionId) -> Sequence[RevisionRecord]:
        kept = await self.inner.revisions(session_id)
        read: builtins.list[RevisionRecord] = []
        for record in reversed(kept):  # no gap: what is before one that cannot be read is not shown
            try:
                content = self.keyring.unseal(session_id, record.revision, record.doc)
            except DocumentUnreadable as refusal:
                if not read:
                    raise
                log.warning("revision %d and those before are out of reach: %s", record.revision, refusal)
                break
            read.insert(0, record if content is None else replace(record, doc=content.doc))
        return read

    async def checkout(
        self, lease: Lease, revision: Revision, doc: bytes, now: float, token: str = ""
    ) -> Revision:
        sealed = await self._next_doc(lease.session_id, doc)
        return await self.inner.checkout(lease, revision, sealed, now, token)

    async def fork(self, session_id: SessionId, revision: Revision | None, record: SessionRecord) -> bool:
        parent = await self.inner.get(session_id)
        if parent is None:
            if await self.inner.get(record.session_id) is not None:
                return False
            raise session_missing(session_id)
        start = parent.revision if revision is None else revision
        known = replace(opened(self.keyring, parent)[1], owner=record.owner)
        doc = sealed_doc(self.keyring, known, record.session_id, start, record.doc)
        made = await self.inner.fork(session_id, start, replace(record, doc=doc))
        if made:
            self._remember(record.session_id, known)
        return made

    async def collect(self, now: float, grace: float) -> int:
        return await self.inner.collect(now, grace)

    def _readable(self, records: Sequence[SessionRecord]) -> builtins.list[SessionRecord]:
        read, refusals = [], []
        for record in records:
            try:
                read.append(opened(self.keyring, record)[0])
            except DocumentUnreadable as refusal:
                refusals.append(refusal)
        if refusals:
            log.warning("%d session(s) are not listed; of one of them: %s", len(refusals), refusals[0])
        return read

    def _remember(self, session_id: SessionId, known: Known) -> None:
        self._known[session_id] = known
        self._known.move_to_end(session_id)
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)

    async def _know(self, session_id: SessionId) -> Known:
        """What is known of a session, from its document if need be; raises `SessionMissing`, `Unreadable`."""
        if session_id not in self._known and await self.get(session_id) is None:
            raise session_missing(session_id)
        self._known.move_to_end(session_id)
        return self._known[session_id]

    async def _next_doc(self, session_id: SessionId, doc: bytes) -> bytes:
        """The document of the revision after the head, which only the lease's holder can advance."""
        head = await self.inner.get(session_id)
        if head is None:
            raise session_missing(session_id)
        known = await self._know(session_id)
        return sealed_doc(self.keyring, known, session_id, head.revision + 1, doc)

    async def _read_run(self, session_id: SessionId, run: RunRecord | None) -> RunRecord | None:
        if run is None or not run.finished:
            return run
        logs, damaged = await self._unseal(session_id, "run", {run.run_id: run.log}, about(session_id, run))
        if damaged:
            raise Unreadable(f"what is stored of run {run.run_id!r} was changed in the store")
        return replace(run, log=logs[run.run_id])

    async def _shown(self, session_id: SessionId, held: Mapping[ChunkId, bytes]) -> dict[ChunkId, bytes]:
        intact, damaged = await self._unseal(session_id, "chunk", held)
        return intact | dict.fromkeys(damaged, b"")

    async def _unseal(
        self, session_id: SessionId, kind: Kind, blobs: Mapping[Name, bytes], about: str = ""
    ) -> tuple[dict[Name, bytes], builtins.list[Name]]:
        """What can be read of blobs, and which cannot; nothing is decided by a secret that is out of date."""
        if not blobs:
            return {}, []
        known = await self._know(session_id)
        while True:
            seal = known.seal
            if seal is None:
                return dict(blobs), []
            size = sum(map(len, blobs.values()))
            intact, damaged = await _beside(size, partial(seal.unseal, kind, blobs, about))
            if not damaged:
                return intact, damaged
            self._known.pop(session_id, None)
            before, known = known, await self._know(session_id)
            if known.secret == before.secret:
                return intact, damaged


async def _beside(size: int, work: Callable[[], T]) -> T:
    """The result of work on `size` bytes, the event loop going on meanwhile if they are many."""
    return await asyncio.to_thread(work) if size > _INLINE else work()
