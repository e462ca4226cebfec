"""How fast new numpy data is committed and resumed, against plain SET and GET of the same pieces.

    python -m benchmarks.state_transport [MEGABYTES] [ROUNDS]

One broker on a Redis of its own, one on SQLite. Committing is from the last line of the cell that makes the
data to its answer; resuming from the request to the first line of the cell, in a session that was evicted;
the same of a session without data is taken off. Plain is redis-py (blocking) with pieces of 1 MiB on the
same Redis, and for SQLite a bare table in WAL mode, one transaction for four pieces. All in turns.
"""

import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fixtures.broker import Broker
from fixtures.redis_server import RedisServer

PIECE = 2**20
FILL = "import time, numpy as np; a = np.random.default_rng(time.time_ns()).integers(0, 255, {0}, 'u1')"


class Rates:
    """Megabytes per second, by what was done."""

    def __init__(self, megabytes: int) -> None:
        self._megabytes = megabytes
        self._found: dict[str, list[float]] = {}

    def note(self, what: str, seconds: float) -> None:
        self._found.setdefault(what, []).append(self._megabytes / seconds)

    def middle(self, what: str) -> float:
        return statistics.median(self._found[what])


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure_session(broker: Broker, store: str, megabytes: int, rates: Rates) -> None:
    """A session with the data, beside one with none."""
    full, empty = (take_and_bring_back(broker, size) for size in (megabytes * PIECE, 1))
    rates.note(f"{store} commit", full[0] - empty[0])
    rates.note(f"{store} resume", full[1] - empty[1])


def take_and_bring_back(broker: Broker, size: int) -> tuple[float, float]:
    """Seconds of the commit and of the resume."""
    session_id = broker.create()
    broker.text(session_id, "import time, numpy as np; 0")
    made = float(broker.text(session_id, f"{FILL.format(size)}; time.time()"))
    committing = time.time() - made
    broker.call(session_id, "evict")
    start = time.time()
    resuming = float(broker.text(session_id, "time.time()")) - start
    broker.http.delete(f"/v1/sessions/{session_id}")
    return committing, resuming


def measure_plain_redis(server: RedisServer, pieces: list[bytes], rates: Rates) -> None:
    with server.client() as client:
        rates.note("redis SET", timed(lambda: [client.set(f"p{i}", data) for i, data in enumerate(pieces)]))
        rates.note("redis GET", timed(lambda: [client.get(f"p{i}") for i in range(len(pieces))]))
        client.delete(*(f"p{i}" for i in range(len(pieces))))


def measure_plain_sqlite(folder: Path, pieces: list[bytes], rates: Rates) -> None:
    with sqlite3.connect(folder / "plain.db", isolation_level=None) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("CREATE TABLE IF NOT EXISTS p (i INTEGER PRIMARY KEY, data BLOB)")

        def write() -> None:
            for start in range(0, len(pieces), 4):
                db.execute("BEGIN")
                db.executemany(
                    "INSERT INTO p (data) VALUES (?)", [[data] for data in pieces[start : start + 4]]
                )
                db.execute("COMMIT")

        rates.note("sqlite SET", timed(write))
        rates.note("sqlite GET", timed(lambda: [row[0] for row in db.execute("SELECT data FROM p")]))
        db.execute("DELETE FROM p")


def main() -> None:
    megabytes, rounds = (int(argument) for argument in [*sys.argv[1:], "500", "3"][:2])
    rates = Rates(megabytes)
    server = RedisServer()
    server.start()
    shared, embedded = (Broker(url, preload="numpy", verify_idle=0) for url in (server.url, None))
    with tempfile.TemporaryDirectory() as folder, Path("/dev/urandom").open("rb") as random:
        try:
            for broker in (shared, embedded):
                broker.start()
            pieces = [random.read(PIECE) for _ in range(megabytes)]
            for _ in range(rounds):
                measure_plain_redis(server, pieces, rates)
                measure_session(shared, "redis", megabytes, rates)
                measure_plain_sqlite(Path(folder), pieces, rates)
                measure_session(embedded, "sqlite", megabytes, rates)
        finally:
            for broker in (shared, embedded):
                broker.destroy()
            server.destroy()
    print(f"{megabytes} MB, {rounds} rounds, MB/s:   ours  plain  ratio")
    for store in ("redis", "sqlite"):
        for ours, plain in (("commit", "SET"), ("resume", "GET")):
            mine, theirs = rates.middle(f"{store} {ours}"), rates.middle(f"{store} {plain}")
            print(f"{store:8}{ours:22}{mine:7.0f}{theirs:7.0f}{mine / theirs:7.2f}")


if __name__ == "__main__":
    main()
