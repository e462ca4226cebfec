"""What compressing chunks would cost and bring: the reason why they are stored as they are."""

import asyncio
import pickle
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure, Section, Series
from benchmarks.redis_server import RedisServer, find_redis_server
from benchmarks.rounds import in_turn
from benchmarks.state.plan import Plan
from kernel_broker.store.contract import Revision, SessionRecord, Store
from kernel_broker.store.open import open_store
from kernel_broker.wire.ids import ChunkId, SessionId
from kernel_broker.worker.state.chunks import CHUNK, STREAM_CHUNK, name_of

_KEY = bytes(32)
_SESSION = SessionId("benchmark")
_METHOD = (
    "Not what the product does. {mb} MB of each kind of data in pieces as a commit cuts them: “ours” names "
    "them (keyed BLAKE3) and puts them in the store or gets and verifies them; the peer does the same with "
    "every piece through zstandard, level 1. Ratio above 1×: compressing is the faster way. One process, one "
    "thing after the other, the store on this machine: in the product, storing goes on beside the worker. "
    "“name”: the CPU time of naming, and of naming and compressing."
)


def measure(plan: Plan, home: Path) -> list[Section]:
    """One section, none without zstandard."""
    if not has_zstandard():
        return []
    size = max(2, plan.transfer // 16) * 1_000_000
    figures: list[Figure] = []
    with ExitStack() as stack:
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        home.mkdir(parents=True, exist_ok=True)
        urls = {"sqlite": f"sqlite:///{home / 'compression.db'}"}
        if program := find_redis_server():
            urls["redis"] = stack.enter_context(RedisServer(program, home / "compression-data")).url
        shelves = {name: _Shelf(open_store(url), loop) for name, url in urls.items()}
        for shelf in shelves.values():
            stack.callback(shelf.close)
        for kind, data in kinds(size).items():
            figures += _figures(kind, data, shelves, plan.transfers)
    return [Section("compression", "Compressing chunks", _METHOD.format(mb=size // 1_000_000), figures)]


def has_zstandard() -> bool:
    """Whether it is installed."""
    try:
        import zstandard  # noqa: F401
    except ImportError:
        return False
    return True


def kinds(size: int) -> Mapping[str, bytes]:
    """About `size` bytes each of what sessions hold; streams of pickle, and memory of arrays."""
    dice, rng, n = random.Random(1), np.random.default_rng(1), size // 8
    words = ["".join(dice.choices("etaoinshrdlu", k=dice.randint(2, 9))) for _ in range(5000)]
    rows = [{"id": i, "name": f"user{i % 500}", "score": i * 0.5} for i in range(size // 40)]
    return {
        "list of ints": pickle.dumps(list(range(size // 5)), 5),
        "list of floats": pickle.dumps([dice.random() for _ in range(size // 9)], 5),
        "dict of strings": pickle.dumps({f"key{i}": f"value {i}" for i in range(size // 25)}, 5),
        "rows of dicts": pickle.dumps(rows, 5),
        "text": " ".join(dice.choices(words, k=size // 6)).encode(),
        "random floats": rng.random(n).tobytes(),
        "floats of two decimals": np.round(rng.normal(100, 15, n), 2).tobytes(),
        "counting ints": np.arange(n).tobytes(),
        "ints below 1000": rng.integers(0, 1000, n).tobytes(),
        "sparse floats": (rng.random(n) * (rng.random(n) < 0.05)).tobytes(),
        "image": np.clip(rng.normal(0, 3, size).cumsum() % 256, 0, 255).astype(np.uint8).tobytes(),
    }


class _Shelf:
    """A session of a store, to put pieces in."""

    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self._store, self._loop = store, loop
        self._names = count()
        self._run(store.open())
        now = time.time()
        self._run(store.create(SessionRecord(_SESSION, "me", Revision(0), now, now, 1e6, b"{}")))

    def _run(self, work: object) -> object:
        return self._loop.run_until_complete(work)  # type: ignore[arg-type]

    def put(self, pieces: Sequence[bytes]) -> list[ChunkId]:
        """Write them under new names."""
        names = [ChunkId(str(next(self._names))) for _ in pieces]
        self._run(self._store.put_chunks(_SESSION, dict(zip(names, pieces, strict=True))))
        return names

    def get(self, names: Sequence[ChunkId]) -> Mapping[ChunkId, bytes]:
        """Read them."""
        return self._run(self._store.get_chunks(_SESSION, names))  # type: ignore[return-value]

    def close(self) -> None:
        """Let go of the store."""
        self._run(self._store.close())


def _figures(kind: str, data: bytes, shelves: Mapping[str, _Shelf], rounds: int) -> list[Figure]:
    import zstandard

    pack, unpack = zstandard.ZstdCompressor(level=1).compress, zstandard.ZstdDecompressor().decompress
    size = STREAM_CHUNK if data[:1] == pickle.PROTO else CHUNK
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    names = [name_of(piece, _KEY) for piece in pieces]
    taken: dict[tuple[str, str], list[float]] = {}

    def time_of(what: str, side: str, clock: Callable[[], float], work: Callable[[], object]) -> object:
        begin = clock()
        made = work()
        taken.setdefault((what, side), []).append((clock() - begin) * 1e3)
        return made

    def name(squeeze: bool) -> list[bytes]:
        for piece in pieces:
            name_of(piece, _KEY)
        return [pack(piece) for piece in pieces] if squeeze else pieces

    def put(shelf: _Shelf, squeeze: bool) -> list[ChunkId]:
        return shelf.put(name(squeeze))

    def take(shelf: _Shelf, stored: Sequence[ChunkId], squeezed: bool) -> None:
        found = shelf.get(stored)
        for chunk_id, expected in zip(stored, names, strict=True):
            piece = unpack(found[chunk_id]) if squeezed else found[chunk_id]
            assert name_of(piece, _KEY) == expected

    for number in range(max(3, rounds)):
        for squeeze in in_turn((False, True), number):
            side = "compressed" if squeeze else "raw"
            time_of("name", side, time.thread_time, partial(name, squeeze))
            for place, shelf in shelves.items():
                stored = time_of(f"put, {place}", side, time.perf_counter, partial(put, shelf, squeeze))
                time_of(f"get, {place}", side, time.perf_counter, partial(take, shelf, stored, squeeze))
    figures = [
        Figure(
            f"compression/{kind}/{what}",
            f"{kind}: {what}",
            "ms CPU" if what == "name" else "ms",
            Series("raw", taken[what, "raw"]),
            Series("compressed", taken[what, "compressed"]),
        )
        for what in dict.fromkeys(what for what, _ in taken)
    ]
    bytes_ = Series("raw", [len(data)]), Series("compressed", [sum(map(len, name(True)))])
    return [Figure(f"compression/{kind}/size", f"{kind}: size", "bytes", *bytes_), *figures]
