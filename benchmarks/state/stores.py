"""A first commit and a small change, all the way into a store."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.figures import Figure, Section, Series
from benchmarks.redis_server import RedisServer, find_redis_server
from benchmarks.state.children import Gathered, ask
from benchmarks.state.namespaces import PREPARE_SMALL_CHANGE, Namespace, namespaces
from benchmarks.state.plan import Plan

_SUBJECT = "benchmarks.state.store_subject"
_METHOD = (
    "As “First commit”, but into a store: ours captures, writes its chunks with put_chunks and commits, "
    "through the store's own code in the measuring process. The peer dumps with cloudpickle and SETs one "
    "value with redis-py, or replaces one SQLite row (WAL, not synced at every commit). For the small change "
    "the peer is given for nothing what to write: one SET, or one row, of as many bytes as we write. Wall "
    "time; Redis is appendonly, everysec."
)


def measure(plan: Plan, home: Path) -> list[Section]:
    """One section."""
    figures: list[Figure] = []
    with ExitStack() as stack:
        urls: dict[str, str | None] = {"sqlite": None}
        if program := find_redis_server():
            urls["redis"] = stack.enter_context(RedisServer(program, home / "stores-data")).url
        for letter, namespace in namespaces(plan.scale, plan.letters).items():
            for name, url in urls.items():
                figures += _figures(letter, namespace, name, _gather(namespace, url, plan))
    return [Section("stores", "Commit into a store", _METHOD, figures)]


def _gather(namespace: Namespace, url: str | None, plan: Plan) -> Gathered:
    gathered = Gathered()
    for number in range(max(1, plan.rounds // 2)):
        with tempfile.TemporaryDirectory(prefix="state-") as folder:
            order = {
                "libraries": namespace.libraries,
                "before": PREPARE_SMALL_CHANGE,
                "code": namespace.code,
                "changes": plan.changes,
                "round": number,
                "url": url,
                "folder": folder,
            }
            gathered.add(ask(_SUBJECT, order))
    return gathered


def _figures(letter: str, namespace: Namespace, store: str, gathered: Gathered) -> Iterator[Figure]:
    found = gathered.all
    for what, peer, title in (
        ("first", "cloudpickle and one put", namespace.title),
        ("small", "one put of as many bytes", f"`cnt = n` beside {letter}"),
    ):
        for kind, unit in (("cpu", "ms CPU"), ("wall", "ms")):
            yield Figure(
                key=f"stores/{store}/{what}/{letter}/{kind}",
                title=f"{title}, {store}",
                unit=unit,
                ours=Series("ours", found[f"{what} ours {kind}"]),
                peer=Series(peer, found[f"{what} peer {kind}"]),
            )
