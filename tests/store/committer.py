"""A broker reduced to its commits, for a test to kill: one revision after the other, each told when done.

    python committer.py DATABASE

For each line on its standard input it makes one commit, then prints the revision the store acknowledged.
"""

import asyncio
import sys
import time
from pathlib import Path

from kernel_broker.store.contract import Commit, RunRecord, SessionRecord
from kernel_broker.store.sqlite import SqliteStore
from kernel_broker.wire.ids import ChunkId, Revision, RunId, SessionId


async def main() -> None:
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    session_id = SessionId("s")
    await store.create(SessionRecord(session_id, "ada", Revision(0), 1.0, 1.0, 3600.0, b""))
    lease = await store.acquire(session_id, "dead", 3600)
    for revision in range(1, 10_000):
        sys.stdin.readline()
        text = b"%d" % revision
        await store.put_chunks(session_id, {ChunkId(f"c{revision}"): text * 50_000})
        await store.commit(
            Commit(
                lease,
                Revision(revision - 1),
                time.time(),
                doc=text,
                put={"a": text, "b": text * 1000},
                add=[ChunkId(f"c{revision}")],
                drop=[ChunkId(f"c{revision - 1}")],
                run=RunRecord(RunId(f"r{revision}"), True, Revision(revision)),
            )
        )
        print(revision, flush=True)


asyncio.run(main())
