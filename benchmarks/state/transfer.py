"""Much new data through a whole kernel, beside the bare store; and small cells beside much data."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure, Section, Series
from benchmarks.kernels import SdkKernel, through_sdk, timed
from benchmarks.place import LocalBroker
from benchmarks.processes import is_gone
from benchmarks.redis_server import RedisServer, find_redis_server
from benchmarks.rounds import in_turn
from benchmarks.state.namespaces import big
from benchmarks.state.plain import Plain, PlainRedis, PlainSqlite
from benchmarks.state.plan import Plan

_PID = "__import__('os').getpid()"
_GONE_SECONDS = 20.0
_TIMED = (
    "begin = __import__('time').perf_counter()\n{cell}\nspent = __import__('time').perf_counter() - begin"
)
_METHOD = (
    "{mb} MB of new random floats. Ours: one cell of a session (SDK, broker, worker, store) makes the array; "
    "the time the client waits, less the time the cell itself takes, is the commit. Resume: the session is "
    "evicted, its worker's end awaited, and a cell that reads the array's end is timed, its own time "
    "included. The peer is redis-py with hiredis (or sqlite3: WAL, not synced at every commit) in the "
    "measuring process: as many bytes in 1 MiB pieces, eight in a pipeline, read back into an array. Same "
    "server, in turn. Ratio 2× is half the throughput."
)
_SMALL = (
    "`cnt = cnt + 1` timed through the SDK in a session of {mb} MB, and in one that holds nothing else; and "
    "the first such cell after eviction, beside a cell that needs every variable."
)


def measure(plan: Plan, home: Path) -> list[Section]:
    """Two sections."""
    figures: list[Figure] = []
    small: list[Figure] = []
    for name, broker, plain in _stores(home):
        figures += _transfers(name, broker, plain, plan)
        small += _small(name, broker, plan)
    return [
        Section("throughput", "Throughput", _METHOD.format(mb=plan.transfer), figures),
        Section("kernel-small", "A small cell beside much data", _SMALL.format(mb=plan.big), small),
    ]


def _stores(home: Path) -> Iterator[tuple[str, LocalBroker, Plain]]:
    with _broker("sqlite", home / "transfer-sqlite", None) as broker:
        yield "sqlite", broker, PlainSqlite(home / "plain.db")
    program = find_redis_server()
    if program is not None:
        with (
            RedisServer(program, home / "transfer-data") as server,
            _broker("redis", home / "transfer-redis", server.url) as broker,
        ):
            yield "redis", broker, PlainRedis(server.url)


@contextmanager
def _broker(name: str, home: Path, url: str | None) -> Iterator[LocalBroker]:
    broker = LocalBroker(name, home, url)
    try:
        yield broker
    finally:
        broker.stop()


@contextmanager
def _session(broker: LocalBroker) -> Iterator[SdkKernel]:
    kernel = through_sdk(broker).open()
    assert isinstance(kernel, SdkKernel)
    try:
        yield kernel
    finally:
        kernel.close()


def _transfers(name: str, broker: LocalBroker, plain: Plain, plan: Plan) -> list[Figure]:
    count = plan.transfer * 1_000_000 // 8
    with _session(broker) as kernel:
        kernel.run("import numpy as np")
        taken: dict[str, list[float]] = {}

        def ours(number: int) -> None:
            taken.setdefault("commit", []).append(_commit(kernel, number, count))
            taken.setdefault("resume", []).append(_resume(kernel, "assert A[-1] >= 0"))

        def theirs(number: int) -> None:
            data = np.random.default_rng(number).random(count)
            taken.setdefault("put", []).append(timed(partial(plain.put, data.view(np.uint8).data)))

            def back() -> None:
                plain.get(np.empty(count).view(np.uint8).data)

            taken.setdefault("get", []).append(timed(back))

        for number in range(plan.transfers):
            for side in in_turn((ours, theirs), number):
                side(number)
    title = f"{plan.transfer} MB of new numpy data, {name}"
    return [
        _figure(
            f"throughput/{name}/commit/wall", f"commit: {title}", taken["commit"], "plain put", taken["put"]
        ),
        _figure(
            f"throughput/{name}/resume/wall", f"resume: {title}", taken["resume"], "plain get", taken["get"]
        ),
    ]


def _commit(kernel: SdkKernel, number: int, count: int) -> float:
    cell = _TIMED.format(cell=f"A = np.random.default_rng({number}).random({count})")
    inside: list[float] = []
    begin = time.perf_counter()
    inside.append(float(kernel.ask(cell, "spent")))
    return (time.perf_counter() - begin - inside[0]) * 1e3


def _resume(kernel: SdkKernel, cell: str) -> float:
    pid = int(kernel.ask("", _PID))
    kernel.session.evict()
    if not is_gone(pid, _GONE_SECONDS):
        raise RuntimeError("an evicted session's worker does not end")
    return timed(lambda: kernel.run(cell))


def _small(name: str, broker: LocalBroker, plan: Plan) -> list[Figure]:
    with ExitStack() as stack:
        large, empty = (stack.enter_context(_session(broker)) for _ in range(2))
        namespace = big(plan.big)
        for kernel, code in ((large, namespace.code), (empty, "cnt = 0")):
            kernel.run(namespace.libraries)
            kernel.run(code)
            kernel.run("cnt = 0")
        warm = _in_turn({"large": large, "empty": empty}, lambda kernel: kernel.run("cnt = cnt + 1"), 30)
        everything = _everything(large)
        cells: dict[str, Callable[[], float]] = {
            "small": lambda: _resume(large, "cnt = cnt + 1"),
            "full": lambda: _resume(large, everything),
        }
        resumed: dict[str, list[float]] = {"small": [], "full": []}
        for number in range(plan.resumes):
            for which in in_turn(list(cells), number):
                resumed[which].append(cells[which]())
    return [
        _figure(
            f"kernel-small/{name}", f"`cnt = cnt + 1`, {name}", warm["large"], "empty session", warm["empty"]
        ),
        _figure(
            f"kernel-resume/{name}",
            f"first small cell after eviction, {name}",
            resumed["small"],
            "a cell that needs everything",
            resumed["full"],
        ),
    ]


def _everything(kernel: SdkKernel) -> str:
    """A cell that names every variable."""
    mine = "n[0] != '_' and n not in get_ipython().user_ns_hidden"
    names = kernel.ask("", f"' '.join(n for n in list(globals()) if {mine})").strip("'").split()
    return f"({', '.join(names)},); None"


def _in_turn(
    kernels: dict[str, SdkKernel], action: Callable[[SdkKernel], object], count: int
) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in kernels}
    for number in range(count):
        for name in in_turn(list(kernels), number):
            taken[name].append(timed(partial(action, kernels[name])))
    return taken


def _figure(key: str, title: str, ours: Sequence[float], label: str, theirs: Sequence[float]) -> Figure:
    return Figure(key, title, "ms", Series("ours", list(ours)), Series(label, list(theirs)))
