"""One process of samples: `python -m benchmarks.state.subject`, a JSON object in, one out.

A first commit and a first load happen once in the life of a process, so each sample of one is a process.
"""

import json
import pickle
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import dill

from benchmarks.state.clock import Spent, timed
from benchmarks.state.ours import Counter, Ours, make_settled_shell, make_shell
from benchmarks.state.peers import dumpers, hash_everything

Samples = dict[str, list[float]]


def main() -> None:
    """Do what standard input asks for."""
    order = json.load(sys.stdin)
    answer = {"commit": commit, "cells": cells, "load": load, "touch": touch}[order["do"]](order)
    print(json.dumps(answer))  # the last line: cells may have printed before it


def commit(order: Mapping[str, Any]) -> Samples:
    """The first commit of a namespace, by everyone; then small changes; the state left in a folder."""
    ours = _prepare(order)
    ours.run(order["code"])
    samples = _Samples()
    dumped: dict[str, bytes] = {}

    def first() -> None:
        counter = Counter()
        spent, delta = timed(lambda: ours.capture(order["code"], counter))
        samples.add("ours", spent)
        samples.put("ours bytes", counter.bytes + sum(map(len, delta.put.values())))
        ours.apply(ours.capture(order["code"], ours.keep))  # the same again: nothing was acknowledged

    steps: list[Callable[[], None]] = [first]
    variables = ours.variables()
    for name, dump in dumpers(order["dill"]).items():

        def peer(name: str = name, dump: Callable[[Mapping[str, Any]], bytes] = dump) -> None:
            spent, dumped[name] = timed(lambda: dump(variables))
            samples.add(name, spent)
            samples.put(f"{name} bytes", len(dumped[name]))

        steps.append(peer)
    steps.append(lambda: samples.add("hash-everything", timed(lambda: hash_everything(variables))[0]))
    for step in steps if order["round"] % 2 == 0 else steps[::-1]:
        step()
    _small_changes(ours, order["changes"], samples)
    if order.get("folder"):
        _leave(Path(order["folder"]), ours, dumped)
    return samples.all


def cells(order: Mapping[str, Any]) -> dict[str, Any]:
    """One-cell commits in a large session, each beside a full dump and hash-everything of that session."""
    ours = _prepare(order)
    ours.run_and_commit(order["code"])
    samples = _Samples()
    _verify(ours, samples)
    cloudpickle = dumpers(with_dill=False)["cloudpickle"]
    variables = ours.variables()
    for name, dump in {"hash-everything": hash_everything, "cloudpickle": cloudpickle}.items():
        for _ in range(order["dumps"]):
            samples.add(name, timed(partial(dump, variables))[0])
    variables = {}  # nothing of the session may be held by us while its cells run
    for number in range(order["changes"]):
        listed = order["cells"] if number % 2 == 0 else order["cells"][::-1]
        for key, code in listed:
            _one_cell(ours, code.replace("{n}", str(number)), key, samples)
    if order.get("folder"):
        _leave(Path(order["folder"]), ours, {"cloudpickle": cloudpickle(ours.variables())})
    return samples.all


def load(order: Mapping[str, Any]) -> Samples:
    """A first load of what `commit` left, by everyone."""
    exec(order["libraries"], {})  # a worker has them from its zygote
    ours, folder = Ours(make_settled_shell()), Path(order["folder"])
    state = pickle.loads((folder / "ours").read_bytes())
    ours.chunks = state["chunks"]
    samples, kept = _Samples(), []

    def back() -> None:
        spent, _ = timed(lambda: ours.bring_back(state["entries"], state["names"]))
        samples.add("ours", spent)

    steps: list[Callable[[], None]] = [back]
    for name, loads in (("cloudpickle", pickle.loads), ("dill", dill.loads)):
        if (folder / name).exists():
            data = (folder / name).read_bytes()

            def peer(name: str = name, data: bytes = data, loads: Any = loads) -> None:
                spent, loaded = timed(lambda: loads(data))
                samples.add(name, spent)
                kept.append(loaded)

            steps.append(peer)
    for step in steps if order["round"] % 2 == 0 else steps[::-1]:
        step()
    return samples.all


def touch(order: Mapping[str, Any]) -> Samples:
    """The first cell of a session that came back, up to its end: only what it names must be there."""
    exec(order["libraries"], {})
    ours = Ours(make_settled_shell())
    state = pickle.loads((Path(order["folder"]) / "ours").read_bytes())
    ours.chunks = state["chunks"]

    def resume() -> None:
        ours.engine.restore(state["entries"], ours.fetch)
        ours.run(order["code"])

    samples = _Samples()
    samples.add("ours", timed(resume)[0])
    return samples.all


class _Samples:
    """CPU and wall of everyone, by name."""

    def __init__(self) -> None:
        self.all: Samples = {}

    def add(self, name: str, spent: Spent) -> None:
        self.put(f"{name} cpu", spent.cpu)
        self.put(f"{name} wall", spent.wall)

    def put(self, name: str, value: float) -> None:
        self.all.setdefault(name, []).append(value)


def _prepare(order: Mapping[str, Any]) -> Ours:
    """A session that has committed once, so that everyone's own set-up is behind them."""
    exec(order["libraries"], {})
    ours = Ours(make_shell())
    ours.run_and_commit(order["libraries"] or "pass")
    ours.run_and_commit(order.get("before", "pass"))
    for dump in dumpers(with_dill=True).values():
        dump({"warm": [1]})
    hash_everything({"warm": [1]})
    return ours


def _small_changes(ours: Ours, count: int, samples: _Samples) -> None:
    for number in range(count):
        _one_cell(ours, f"cnt = {number}", "small change", samples)


def _one_cell(ours: Ours, code: str, key: str, samples: _Samples) -> None:
    counter = Counter()

    def sink(name: str, data: Any) -> None:
        counter(name, data)
        ours.keep(name, data)

    ours.run(code)
    spent, delta = timed(lambda: ours.capture(code, sink))
    samples.add(key, spent)
    samples.put(f"{key} bytes", counter.bytes + ours.apply(delta))


def _verify(ours: Ours, samples: _Samples) -> None:
    verify = getattr(ours.engine, "verify", None)
    if verify is not None:
        spent, delta = timed(lambda: verify(ours.keep))
        samples.add("verify", spent)
        ours.apply(delta)


def _leave(folder: Path, ours: Ours, dumped: Mapping[str, bytes]) -> None:
    state = {"entries": ours.entries, "chunks": ours.chunks, "names": list(ours.variables())}
    (folder / "ours").write_bytes(pickle.dumps(state))
    for name, data in dumped.items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
