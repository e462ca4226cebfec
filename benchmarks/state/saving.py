"""The namespaces a to g: first commit, a small change after it, and the load of it all."""

import tempfile
from collections.abc import Iterator

from benchmarks.figures import Figure, Section, Series
from benchmarks.state.children import Gathered, ask
from benchmarks.state.namespaces import PREPARE_SMALL_CHANGE, SMALL_CHANGE, Namespace, namespaces
from benchmarks.state.plan import Plan

_SUBJECT = "benchmarks.state.subject"
_KISHU = "benchmarks.state.kishu_side"
PEERS = ("cloudpickle", "dill", "hash-everything")
_METHOD = (
    "Serialisation only: the engine on a shell of the measuring process, whose cells run through run_cell; "
    "what it hands over is counted, not stored. A first commit happens once, so each sample is a process "
    "(libraries imported, one commit made before, garbage collection off); in it the peers dump the same "
    "variables, in turn before and after us. dill and cloudpickle: dumps of a dict of all variables. "
    "hash-everything: cloudpickle out of band, and BLAKE3 over all bytes. Kishu: both hooks that it runs "
    "around the cell, in processes and an environment of its own, into its own SQLite file. Ours includes "
    "everything a worker saves: process state, history, keyed digests, chunk names."
)
_SMALL = (
    "The same sessions, then `cnt = n` again and again: what the commit of one small change costs beside "
    "each namespace. The peers have nothing incremental but Kishu: they dump everything again."
)
_LOAD = (
    "What the first commit left, loaded by a fresh process with the libraries imported and the shell "
    "settled, as a worker has them from its zygote; ours with every check, process state and history "
    "included, every variable made whole. One sample is one process."
)


def measure(plan: Plan, kishu: str | None) -> list[Section]:
    """Three sections."""
    first: list[Figure] = []
    small: list[Figure] = []
    load: list[Figure] = []
    for letter, namespace in namespaces(plan.scale, plan.letters).items():
        gathered = _gather(namespace, plan, kishu)
        for kind in ("cpu", "wall"):
            first += _rows(gathered, f"first/{letter}", namespace.title, "ours", kind)
            small += _rows(gathered, f"small/{letter}", f"`cnt = n` beside {letter}", "small change", kind)
            load += _rows(gathered, f"load/{letter}", namespace.title, "load ours", kind)
        first += _bytes(gathered, letter, namespace)
    return [
        Section("first", "First commit of a namespace", _METHOD, first),
        Section("small", "One small change beside it", _SMALL, small),
        Section("load", "Full load", _LOAD, load),
    ]


def _gather(namespace: Namespace, plan: Plan, kishu: str | None) -> Gathered:
    gathered = Gathered()
    order = {
        "libraries": namespace.libraries,
        "before": PREPARE_SMALL_CHANGE,
        "code": namespace.code,
        "changes": plan.changes,
        "dill": True,
    }
    for number in range(plan.rounds):
        with tempfile.TemporaryDirectory(prefix="state-") as folder:
            asked = {**order, "folder": folder, "round": number}
            gathered.add(ask(_SUBJECT, {**asked, "do": "commit"}))
            gathered.add(ask(_SUBJECT, {**asked, "do": "load"}), "load ")
        if kishu is not None and number < plan.kishu_rounds:
            cells = [(SMALL_CHANGE.key, SMALL_CHANGE.code)]
            gathered.add(ask(_KISHU, {**order, "cells": cells}, kishu), "kishu ")
    return gathered


_PEER_SERIES = {
    "ours": {peer: peer for peer in PEERS} | {"Kishu": "kishu first"},
    "small change": {
        "cloudpickle": "cloudpickle",
        "hash-everything": "hash-everything",
        "Kishu": "kishu cnt",
    },
    "load ours": {"pickle.loads": "load cloudpickle", "dill": "load dill"},
}


def _rows(gathered: Gathered, key: str, title: str, ours: str, kind: str) -> Iterator[Figure]:
    mine = gathered.get(f"{ours} {kind}")
    assert mine is not None
    for label, name in _PEER_SERIES[ours].items():
        theirs = gathered.get(f"{name} {kind}")
        if theirs is not None:
            yield Figure(
                key=f"{key}/{label}/{kind}",
                title=title,
                unit="ms CPU" if kind == "cpu" else "ms",
                ours=Series("ours", mine),
                peer=Series(label, theirs),
            )


def _bytes(gathered: Gathered, letter: str, namespace: Namespace) -> Iterator[Figure]:
    mine, theirs = gathered.get("ours bytes"), gathered.get("cloudpickle bytes")
    if mine and theirs:
        peer = Series("cloudpickle", theirs)
        yield Figure(f"bytes/{letter}", f"{namespace.title}: size", "bytes", Series("ours", mine), peer)
