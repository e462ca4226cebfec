"""A session, a commit and a lease for tests to vary."""

from dataclasses import replace

from backends import Backend

from kernel_broker.store.contract import Commit, Lease, SessionRecord
from kernel_broker.wire.ids import ChunkId, Revision, SessionId

SID = SessionId("s-1.a:b_C")
A, B, C = ChunkId("aa"), ChunkId("bb"), ChunkId("cc")
BINARY = bytes(range(256)) * 2


def record(session_id: SessionId = SID, owner: str = "ada", at: float = 1000.25, **fields) -> SessionRecord:
    base = SessionRecord(session_id, owner, Revision(0), at, at, 100.0, b'{"doc": 1}\x00\xff')
    return replace(base, **fields)


def step(lease: Lease, parent: int = 0, **fields) -> Commit:
    return Commit(lease, Revision(parent), **{"at": 2000.5, "doc": b"doc", **fields})


async def held(backend: Backend, session_id: SessionId = SID) -> Lease:
    await backend.store.create(record(session_id))
    return await backend.store.acquire(session_id, "pod-a", 30)
