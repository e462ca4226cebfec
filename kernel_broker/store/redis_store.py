"""The shared store, as the contract asks for it: sessions in Redis 6 or newer.

All keys of a session share one hash tag and expire with it; what changes a session is one call of
`session.lua`. How durable an acknowledged commit is, is Redis' to say: run it with `appendonly yes` and
`maxmemory-policy noeviction`.
"""

import builtins
from collections.abc import Collection, Mapping, Sequence
from secrets import token_hex
from typing import Any, Final, Literal

from kernel_broker.store.batches import by_count, by_size
from kernel_broker.store.contract import (
    HEAD_ALONE,
    Buffer,
    ChunkMissing,
    Commit,
    History,
    Lease,
    RevisionRecord,
    RunRecord,
    SessionRecord,
    StoreUnavailable,
)
from kernel_broker.store.redis import Command, RedisLink
from kernel_broker.store.redis_homes import Homes, chunk_key, own_key
from kernel_broker.store.redis_index import PREFIX, Index
from kernel_broker.store.redis_records import FIELDS, pack_run, read_record, read_revision, read_run
from kernel_broker.store.refusals import (
    lease_held,
    revision_mismatch,
    revision_missing,
    session_missing,
    stale_lease,
)
from kernel_broker.wire.ids import ChunkId, Epoch, Revision, RunId, SessionId

_STAGED_MS: Final = 600_000
"""Life of a chunk whose writer dies before it could register it."""
_LONGEST_MS: Final = 10**13
_BYTES_AT_ONCE: Final = 8 << 20
_CHUNKS_AT_ONCE: Final = 8
_SESSIONS_AT_ONCE: Final = 500


class RedisStore:
    """`Store` in Redis. Every call may be repeated after a lost answer, so the link repeats them all."""

    def __init__(self, link: RedisLink, history: History = HEAD_ALONE) -> None:
        self._link = link
        self._index = Index(link)
        self._homes = Homes(link)
        self._kept = history.revisions, history.size

    async def open(self) -> None:
        await self._link.open()
        try:
            await self.ping()
            await self._link.warn_of_eviction()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await self._link.close()

    async def ping(self) -> None:
        await self._link.send([("SET", f"{PREFIX}:probe", b"", "PX", 10_000)])

    async def create(self, record: SessionRecord) -> bool:
        session_id = record.session_id
        times = record.created_at, record.last_activity, record.ttl, _ms(record.ttl)
        fields = record.owner, record.revision, *times, record.doc
        answer, owner = await self._link.call(own_key(session_id), "create", *fields)
        if answer == b"moved":
            known = await self.get(session_id)
            if known is None:  # it was a fork, and is gone: now its id is free
                answer, owner = await self._link.call(own_key(session_id), "create", *fields)
        if answer == b"moved":
            return False
        await self._index.add({session_id: owner.decode()})  # also an old one: its maker may have died here
        return bool(answer == b"ok")

    async def get(self, session_id: SessionId) -> SessionRecord | None:
        return (await self._records([session_id]))[session_id]

    async def touch(self, session_id: SessionId, now: float) -> None:
        await self._do(session_id, "touch", now)

    async def delete(self, session_id: SessionId) -> bool:
        answer, *owner = await self._do(session_id, "delete")
        await self._homes.unclaim(session_id)
        await self._repair([session_id], *(name.decode() for name in owner))
        return bool(answer == b"ok")

    async def acquire(self, session_id: SessionId, holder: str, ttl: float) -> Lease:
        answer, *rest = await self._do(session_id, "acquire", holder, _ms(ttl))
        if answer == b"held":
            raise lease_held(rest[0].decode(), int(rest[1]) / 1000)
        if answer == b"missing":
            raise session_missing(session_id)
        return Lease(session_id, holder, Epoch(int(rest[0])))

    async def renew(self, lease: Lease, ttl: float) -> None:
        await self._do_leased(lease, "renew", _ms(ttl))

    async def release(self, lease: Lease) -> None:
        await self._do(lease.session_id, "release", lease.holder, lease.epoch)

    async def begin_run(
        self, lease: Lease, run_id: RunId, now: float, ttl: float, token: str = ""
    ) -> RunRecord | None:
        token = token or token_hex(8)  # redis-py, too, repeats a call whose answer was lost
        answer, *known = await self._do_leased(lease, "begin_run", run_id, now, _ms(ttl), token)
        return read_run(run_id, known[0]) if answer == b"known" else None

    async def get_run(self, session_id: SessionId, run_id: RunId) -> RunRecord | None:
        _, *known = await self._do(session_id, "run", run_id)
        return read_run(run_id, known[0]) if known and known[0] is not None else None

    async def entries(self, session_id: SessionId) -> dict[str, bytes]:
        # One script and not a MULTI: a full Redis refuses even to read in a transaction.
        answer, *rest = await self._do(session_id, "entries")
        if answer == b"missing":
            raise session_missing(session_id)
        expected, flat = rest
        if len(flat) != 2 * int(expected):
            raise _evicted(session_id)
        return {name.decode(): data for name, data in zip(flat[::2], flat[1::2], strict=True)}

    async def missing(self, session_id: SessionId, chunk_ids: Collection[ChunkId]) -> set[ChunkId]:
        answer, *absent = await self._do(session_id, "missing", *chunk_ids)
        if answer == b"missing":
            return set(chunk_ids)
        return {ChunkId(chunk_id.decode()) for chunk_id in absent}

    async def put_chunks(self, session_id: SessionId, chunks: Mapping[ChunkId, Buffer]) -> None:
        for batch in by_size(chunks, _BYTES_AT_ONCE):

            async def attempt(key: str, batch: Mapping[ChunkId, Buffer] = batch) -> list[Any]:
                write: list[Command] = [
                    ("SET", chunk_key(key, chunk_id), data, "NX", "PX", _STAGED_MS)
                    for chunk_id, data in batch.items()
                ]
                *_, answer = await self._link.send([*write, self._link.script(key, "stage", *batch)])
                return list(answer)

            if (await self._homes.at_home(session_id, attempt))[0] == b"missing":
                raise session_missing(session_id)

    async def get_chunks(self, session_id: SessionId, chunk_ids: Collection[ChunkId]) -> dict[ChunkId, bytes]:
        found: dict[ChunkId, bytes] = {}
        for batch in by_count(chunk_ids, _CHUNKS_AT_ONCE):

            async def attempt(key: str, batch: Sequence[ChunkId] = batch) -> list[Any]:
                keys = [chunk_key(key, chunk_id) for chunk_id in batch]
                (answer, parts) = await self._link.send([self._link.script(key, "here"), ("MGET", *keys)])
                return answer if answer[0] == b"moved" else [answer[0], *parts]

            answer, *parts = await self._homes.at_home(session_id, attempt)
            if answer == b"ok":
                found |= {id_: data for id_, data in zip(batch, parts, strict=True) if data is not None}
        return found

    async def discard(self, session_id: SessionId, damaged: Mapping[ChunkId, bytes]) -> None:
        for batch in by_size(damaged, _BYTES_AT_ONCE):
            await self._do(session_id, "discard", *(part for item in batch.items() for part in item))

    async def commit(self, commit: Commit) -> Revision:
        run_id, run = (commit.run.run_id, pack_run(commit.run)) if commit.run else ("", b"")
        head = commit.parent, commit.token, commit.at, commit.doc, run_id, run, *self._kept
        delete = set(commit.delete).difference(commit.put)
        drop = set(commit.drop).difference(commit.add)
        puts = [part for item in commit.put.items() for part in item]
        parts = len(commit.put), len(delete), len(commit.add), *puts, *delete, *commit.add, *drop
        answer, *rest = await self._do_leased(commit.lease, "commit", *head, *parts)
        if answer == b"gone":
            raise ChunkMissing([ChunkId(chunk_id.decode()) for chunk_id in rest])
        if answer == b"conflict":
            raise revision_mismatch(commit.lease.session_id, commit.parent, Revision(int(rest[0])))
        return Revision(int(rest[0]))

    async def reset(self, lease: Lease, doc: bytes, now: float) -> Revision:
        return await self._move(lease, "", now, doc, token_hex(8))

    async def revisions(self, session_id: SessionId) -> Sequence[RevisionRecord]:
        answer, *flat = await self._do(session_id, "revisions")
        if answer == b"missing":
            raise session_missing(session_id)
        return [read_revision(flat[start : start + 6]) for start in reversed(range(0, len(flat), 6))]

    async def checkout(
        self, lease: Lease, revision: Revision, doc: bytes, now: float, token: str = ""
    ) -> Revision:
        return await self._move(lease, revision, now, doc, token or token_hex(8))

    async def _move(
        self, lease: Lease, revision: Revision | Literal[""], now: float, doc: bytes, token: str
    ) -> Revision:
        args = revision, token, now, doc, *self._kept
        answer, *rest = await self._do_leased(lease, "move", *args)
        _check_found(lease.session_id, revision, answer, rest)
        return Revision(int(rest[0]))

    async def fork(self, session_id: SessionId, revision: Revision | None, record: SessionRecord) -> bool:
        if await self.get(record.session_id) is not None:
            return False
        parent = await self._homes.find(session_id)
        home = f"{parent.partition('}')[0]}}}:fork:{token_hex(8)}"
        if not await self._homes.claim(record.session_id, home):
            return False
        start: Revision | Literal[""] = "" if revision is None else revision
        fields = (
            record.owner,
            0,
            record.created_at,
            record.last_activity,
            record.ttl,
            _ms(record.ttl),
            record.doc,
        )
        answer, *rest = await self._link.call(parent, "fork", home, start, *fields)
        if answer != b"ok":
            await self._homes.unclaim(record.session_id, home)
            if answer == b"missing":
                raise session_missing(session_id)
            _check_found(session_id, start, answer, rest)
        if not await self._homes.settle(record.session_id, home):
            await self._link.call(home, "delete")
            return False
        await self._index.add({record.session_id: record.owner})
        return True

    async def collect(self, now: float, grace: float) -> int:
        before = _ms(now - grace)
        waiting = [(session_id, own_key(session_id)) for session_id in await self._index.members()]
        removed = 0
        while waiting:
            batch, waiting = waiting[:_SESSIONS_AT_ONCE], waiting[_SESSIONS_AT_ONCE:]
            answers = await self._link.send([self._link.script(key, "collect", before) for _, key in batch])
            gone: list[SessionId] = []
            for (session_id, key), (answer, *rest) in zip(batch, answers, strict=True):
                if answer == b"missing":
                    gone.append(session_id)
                elif answer == b"moved":
                    waiting.append((session_id, rest[0].decode()))
                elif int(rest[1]):
                    removed += int(rest[0])
                    waiting.append((session_id, key))  # it may have more
            removed += len(gone)
            await self._repair(gone)
        return removed

    async def list(self, owner: str | None = None) -> builtins.list[SessionRecord]:
        records: builtins.list[SessionRecord] = []
        gone: builtins.list[SessionId] = []
        for batch in by_count(await self._index.members(owner), _SESSIONS_AT_ONCE):
            for session_id, record in (await self._records(batch)).items():
                if record is None or owner not in {None, record.owner}:
                    gone.append(session_id)
                else:
                    records.append(record)
        await self._repair(gone, owner)
        return sorted(records, key=lambda record: record.last_activity, reverse=True)

    async def _repair(self, gone: Collection[SessionId], owner: str | None = None) -> None:
        """Take sessions off the index (and off `owner`'s); put back what was made anew in the meantime."""
        for batch in by_count(gone, _SESSIONS_AT_ONCE):
            await self._index.remove(batch, owner)
            records = await self._records(batch)
            await self._index.add({id_: record.owner for id_, record in records.items() if record})

    async def _records(self, batch: Collection[SessionId]) -> dict[SessionId, SessionRecord | None]:
        found = await self._homes.fields(batch, FIELDS)
        return {id_: read_record(id_, fields) for id_, fields in found.items()}

    async def _do(self, session_id: SessionId, verb: str, *args: str | float | bytes) -> Any:
        return await self._homes.call(session_id, verb, *args)

    async def _do_leased(self, lease: Lease, verb: str, *args: str | float | bytes) -> Any:
        answer = await self._do(lease.session_id, verb, lease.holder, lease.epoch, *args)
        if answer[0] == b"missing":
            raise session_missing(lease.session_id)
        if answer[0] == b"stale":
            raise stale_lease(lease)
        return answer


def _evicted(session_id: SessionId) -> StoreUnavailable:
    return StoreUnavailable(
        f"Redis has evicted state of session {session_id!r}: restart the session, and set Redis'"
        " maxmemory-policy to noeviction so that it does not happen again"
    )


def _ms(seconds: float) -> int:
    return int(min(max(seconds * 1000, 0), _LONGEST_MS))


def _check_found(
    session_id: SessionId, revision: Revision | Literal[""], answer: bytes, rest: Sequence[bytes]
) -> None:
    """Raise if the script did not find the revision."""
    if answer == b"evicted":
        raise _evicted(session_id)
    if answer == b"trimmed" and revision != "":
        raise revision_missing(session_id, revision, (Revision(int(rest[0])), Revision(int(rest[1]))))
