"""One process that commits into a store: `python -m benchmarks.state.store_subject`, JSON in, JSON out."""

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle
import redis

from benchmarks.state.clock import timed
from benchmarks.state.ours import Ours, make_shell
from benchmarks.state.subject import Samples
from kernel_broker.store.contract import Commit, Lease, SessionRecord, Store
from kernel_broker.store.open import open_store
from kernel_broker.wire.ids import Revision, SessionId

_GATHERED = 8 * 2**20
_TTL = 3600.0


def main() -> None:
    """Do what standard input asks for."""
    order = json.load(sys.stdin)
    loop = asyncio.new_event_loop()
    print(json.dumps(_measure(order, loop)))


def _measure(order: Mapping[str, Any], loop: asyncio.AbstractEventLoop) -> Samples:
    exec(order["libraries"], {})
    folder = Path(order["folder"])
    url = order["url"] or f"sqlite://{folder / 'ours.db'}"
    sink = _StoreSink(open_store(url), loop)
    put = _redis_put(url) if order["url"] else _sqlite_put(folder / "plain.db")
    ours = Ours(make_shell())
    samples: Samples = {}

    def add(name: str, action: Callable[[], object]) -> None:
        spent, _ = timed(action)
        samples.setdefault(f"{name} cpu", []).append(spent.cpu)
        samples.setdefault(f"{name} wall", []).append(spent.wall)

    def commit(code: str) -> int:
        return sink.commit(ours, code)

    for code in (order["libraries"] or "pass", order["before"]):
        ours.run(code)
        commit(code)
    put(cloudpickle.dumps({"warm": [1]}))
    ours.run(order["code"])
    variables = ours.variables()
    steps: list[Callable[[], None]] = [
        lambda: add("first ours", lambda: commit(order["code"])),
        lambda: add("first peer", lambda: put(cloudpickle.dumps(variables))),
    ]
    for step in steps if order["round"] % 2 == 0 else steps[::-1]:
        step()
    for number in range(order["changes"]):
        ours.run(f"cnt = {number}")
        add("small ours", partial(commit, f"cnt = {number}"))
        add("small peer", partial(put, b"x" * sink.written))
    return samples


class _StoreSink:
    """Chunks gathered and written while the capture goes on, then one commit: what a broker does."""

    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self._store, self._loop = store, loop
        self._session = SessionId("benchmark")
        self._revision = Revision(0)
        self._gathered: dict[Any, bytes] = {}
        self.written = 0
        self._lease = loop.run_until_complete(self._open())

    async def _open(self) -> Lease:
        await self._store.open()
        now = time.time()
        await self._store.delete(self._session)
        await self._store.create(SessionRecord(self._session, "me", self._revision, now, now, _TTL, b"{}"))
        return await self._store.acquire(self._session, "benchmark", _TTL)

    def commit(self, ours: Ours, code: str) -> int:
        """Capture and commit; the new revision."""
        self.written = 0
        delta = ours.capture(code, self._take)
        self._flush()
        self.written += sum(map(len, delta.put.values()))
        step = Commit(
            self._lease, self._revision, time.time(), b"{}", delta.put, delta.delete, delta.add, delta.drop
        )
        self._revision = self._loop.run_until_complete(self._store.commit(step))
        ours.apply(delta)
        return self._revision

    def _take(self, name: str, data: Any) -> None:
        self._gathered[name] = bytes(data)
        self.written += len(data)
        if len(self._gathered) * 2**20 >= _GATHERED:
            self._flush()

    def _flush(self) -> None:
        gathered, self._gathered = self._gathered, {}
        if gathered:
            self._loop.run_until_complete(self._store.put_chunks(self._session, gathered))


def _redis_put(url: str) -> Callable[[bytes], object]:
    client = redis.Redis.from_url(url)
    return lambda data: client.set("plain", data)


def _sqlite_put(path: Path) -> Callable[[bytes], object]:
    db: Any = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute("CREATE TABLE plain (name TEXT PRIMARY KEY, data BLOB)")
    return lambda data: db.execute("INSERT OR REPLACE INTO plain VALUES ('all', ?)", (data,))


if __name__ == "__main__":
    main()
