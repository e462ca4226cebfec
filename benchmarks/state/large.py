"""One cell at a time in a large session: commits that must follow what the cell touched."""

import tempfile
from collections.abc import Iterator

from benchmarks.figures import Figure, Section, Series
from benchmarks.state.children import Gathered, ask
from benchmarks.state.namespaces import CELLS, PREPARE_SMALL_CHANGE, Namespace, big
from benchmarks.state.plan import Plan

_SUBJECT = "benchmarks.state.subject"
_KISHU = "benchmarks.state.kishu_side"
_LISTED = [(cell.key, cell.code) for cell in CELLS]
PEERS = ("cloudpickle", "hash-everything")
_METHOD = (
    "A session of {big} MB (arrays, frames, a list, a dict, 200 small variables, functions, a class), "
    "committed; then each cell in turn, forwards and backwards, each with its commit: CPU and bytes of the "
    "commit alone. Beside it, in the same process: cloudpickle of everything, and hash-everything. Kishu "
    "commits a session of {kishu} MB, built by the same code; ours is measured on that one, too."
)
_UNTOUCHED = (
    "The same session in another process, where no cell touches what is large: `pass` and `cnt` in turn, "
    "which do not find the caches of the processor full of it, as they do in the table above. Beside them, "
    "the same cells in a session that has nothing else."
)
_LOAD = (
    "The same session in a fresh process, settled as a worker has it from its zygote. Full load: every "
    "variable whole; beside pickle.loads of cloudpickle's bytes. Resume for a small cell: `cnt = cnt + 1` "
    "runs as soon as what it names is there."
)


def measure(plan: Plan, kishu: str | None) -> list[Section]:
    """Three sections."""
    ours, empty, beside, untouched = Gathered(), Gathered(), Gathered(), Gathered()
    with tempfile.TemporaryDirectory(prefix="state-") as folder:
        ours.add(ask(_SUBJECT, _order(big(plan.big), plan, folder)))
        nothing = Namespace("nothing", big(1).libraries, "cnt = 0")
        only = [(key, code) for key, code in _LISTED if key in {"pass", "cnt"}]
        empty.add(ask(_SUBJECT, {**_order(nothing, plan, None), "cells": only}))
        untouched.add(ask(_SUBJECT, {**_order(big(plan.big), plan, None), "cells": only}))
        loads = _load(plan, folder)
    figures = [*_cells(ours), *_bytes(ours), *_verify(ours)]
    small = [*_small(untouched, empty)]
    if kishu is not None:
        beside.add(ask(_SUBJECT, _order(big(plan.kishu_big), plan, None)))
        asked = {**_order(big(plan.kishu_big), plan, None), "changes": plan.kishu_changes}
        beside.add(ask(_KISHU, asked, kishu), "kishu ")
        figures += _beside_kishu(beside, plan)
    method = _METHOD.format(big=plan.big, kishu=plan.kishu_big)
    return [
        Section("cells", f"One cell in a session of {plan.big} MB", method, figures),
        Section("untouched", f"{plan.big} MB that no cell touches", _UNTOUCHED, small),
        Section("large-load", f"Resume of a session of {plan.big} MB", _LOAD, loads),
    ]


def _order(namespace: Namespace, plan: Plan, folder: str | None) -> dict[str, object]:
    return {
        "do": "cells",
        "libraries": namespace.libraries,
        "before": PREPARE_SMALL_CHANGE,
        "code": namespace.code,
        "cells": _LISTED,
        "changes": plan.changes,
        "dumps": plan.dumps,
        "folder": folder,
    }


def _load(plan: Plan, folder: str) -> list[Figure]:
    gathered = Gathered()
    order = {"folder": folder, "libraries": big(1).libraries, "do": "load"}
    for number in range(max(1, plan.rounds // 2)):
        gathered.add(ask(_SUBJECT, {**order, "round": number}))
        gathered.add(ask(_SUBJECT, {**order, "do": "touch", "code": "cnt = cnt + 1"}), "touch ")
    figures = []
    for kind, unit in (("cpu", "ms CPU"), ("wall", "ms")):
        full = gathered.all[f"ours {kind}"]
        theirs = Series("pickle.loads", gathered.all[f"cloudpickle {kind}"])
        small = Series("ours", gathered.all[f"touch ours {kind}"])
        figures += [
            Figure(f"large-load/full/{kind}", "full load", unit, Series("ours", full), theirs),
            Figure(
                f"large-load/small/{kind}", "first small cell", unit, small, Series("our full load", full)
            ),
        ]
    return figures


def _cells(ours: Gathered) -> Iterator[Figure]:
    for kind, unit in (("cpu", "ms CPU"), ("wall", "ms")):
        for cell in CELLS:
            mine = Series("ours", ours.all[f"{cell.key} {kind}"])
            for peer in PEERS:
                theirs = Series(f"{peer}, all", ours.all[f"{peer} {kind}"])
                key = f"cells/{cell.key}/{peer}/{kind}"
                yield Figure(key, f"`{cell.code}`", unit, mine, theirs)


def _small(untouched: Gathered, empty: Gathered) -> Iterator[Figure]:
    mine = Series("ours", untouched.all["cnt cpu"])  # of two processes, only CPU time can be compared
    peers = {peer: Series(f"{peer}, all", untouched.all[f"{peer} cpu"]) for peer in PEERS}
    peers["empty"] = Series("the same without it", empty.all["cnt cpu"])
    for name, theirs in peers.items():
        yield Figure(f"untouched/cnt/{name}/cpu", "`cnt = cnt + 1` beside it", "ms CPU", mine, theirs)


def _bytes(ours: Gathered) -> Iterator[Figure]:
    for cell in CELLS:
        mine = Series("ours", ours.all[f"{cell.key} bytes"])
        yield Figure(f"cells/{cell.key}/bytes", f"`{cell.code}`: written", "bytes", mine)


def _verify(ours: Gathered) -> Iterator[Figure]:
    for kind, unit in (("cpu", "ms CPU"), ("wall", "ms")):
        mine = ours.get(f"verify {kind}")
        if mine is not None:
            theirs = Series("hash-everything", ours.all[f"hash-everything {kind}"])
            key, title = f"cells/verify/{kind}", "everything verified, nothing changed"
            yield Figure(key, title, unit, Series("ours", mine), theirs)


def _beside_kishu(beside: Gathered, plan: Plan) -> Iterator[Figure]:
    for kind, unit in (("cpu", "ms CPU"), ("wall", "ms")):
        for cell in CELLS:
            mine = Series("ours", beside.all[f"{cell.key} {kind}"])
            theirs = Series("Kishu", beside.all[f"kishu {cell.key} {kind}"])
            title = f"`{cell.code}`, {plan.kishu_big} MB"
            yield Figure(f"cells/{cell.key}/Kishu/{kind}", title, unit, mine, theirs)
