"""One more cell in a kernel that is warm."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from benchmarks.figures import Figure, Section, Series
from benchmarks.kernels import JupyterKernel, Kernel, Subject, peer, through_client, through_sdk, timed
from benchmarks.place import LocalBroker
from benchmarks.rounds import Bounds, Plan, in_turn, rounds

_CELLS = {"add": "x = x + 1", "print": "print(x)"}
_WARM_UP = 5
_TARGETS = {"Jupyter client, redis": "≤ 0.8×", "SDK, redis": "≤ 0.5×"}
_METHOD = (
    "Kernels of all kinds are open at the same time; each of ours has ipykernel's cell just before or after "
    "its own, in turn. Through the Jupyter client: execute until both execute_reply and the idle status are "
    "read (the bridge runs in the measuring process, as in a notebook server); through the SDK: "
    "Session.execute. Ours answers only after the state is committed: SQLite in WAL mode (not synced at "
    "every commit), Redis on the loopback with appendonly everysec. ipykernel commits nothing."
)


class Opened(NamedTuple):
    """A kernel that is open, and its name in the report."""

    label: str
    kernel: Kernel


Pair = tuple[Series, Series]
"""Ours and the peer's."""


def measure(brokers: Sequence[LocalBroker], plan: Plan) -> Section:
    """Every cell on every path and store."""
    with ExitStack() as stack:
        makers = (through_client, through_sdk)
        subjects = [peer(), *(make(broker) for broker in brokers for make in makers)]
        beside, *ours = [_open(subject, stack) for subject in subjects]
        figures = [
            figure
            for name, code in _CELLS.items()
            for figure in _figures(name, code, _sample(beside, ours, code, plan.warm))
        ]
    return Section("warm", "A warm cell", _METHOD, figures)


def _open(subject: Subject, stack: ExitStack) -> Opened:
    kernel = subject.open()
    stack.callback(kernel.close)
    _warm_up(kernel)
    return Opened(subject.label, kernel)


def _warm_up(kernel: Kernel) -> None:
    if isinstance(kernel, JupyterKernel):
        kernel.wait_ready()
    kernel.run("x = 0")
    for _ in range(_WARM_UP):
        for code in _CELLS.values():
            kernel.run(code)


def _sample(beside: Opened, ours: Sequence[Opened], code: str, bounds: Bounds) -> list[Pair]:
    """The samples of each of ours, with those that the peer gave beside it."""
    pairs: list[Pair] = [(Series(one.label, []), Series(beside.label, [])) for one in ours]
    for number in rounds(bounds):
        for one, (mine, theirs) in zip(ours, pairs, strict=True):
            for kernel, series in in_turn(((beside.kernel, theirs), (one.kernel, mine)), number):
                series.samples.append(timed(partial(kernel.run, code)))
    return pairs


def _figures(name: str, code: str, pairs: Sequence[Pair]) -> list[Figure]:
    return [
        Figure(
            key=f"warm-{name}/{ours.label}",
            title=f"`{code}`: {ours.label}",
            unit="ms",
            ours=ours,
            peer=theirs,
            target=_TARGETS.get(ours.label),
        )
        for ours, theirs in pairs
    ]
