"""The first cell of a session that was asleep."""

from collections.abc import Sequence
from contextlib import ExitStack

from benchmarks.figures import Figure, Section, Series
from benchmarks.kernels import SdkKernel, through_sdk, timed
from benchmarks.place import LocalBroker
from benchmarks.processes import is_gone
from benchmarks.rounds import Bounds, Plan, in_turn, rounds

_STATE = """
import numpy, pandas
counts = {'a': 1, 'b': [1, 2, 3]}
array = numpy.arange(100.0)
frame = pandas.DataFrame({'a': array})
def total(): return int(frame.a.sum()) + counts['a']
"""
_CELL = "total()"
_RESULT = "4951"
_PID = "__import__('os').getpid()"
_EXIT_SECONDS = 10.0
_TARGET = "≤ 30 ms, ≤ 5× a warm cell (on another pod)"
_METHOD = (
    "A small session (an array, a DataFrame, a dict, a function that reads them) is evicted, the end of its "
    "worker is awaited, then a cell that needs all of it is timed through the SDK, at the same broker. The "
    "peer is the same cell in the same session once it is warm: ipykernel has nothing that resumes."
)


def measure(brokers: Sequence[LocalBroker], plan: Plan) -> Section:
    """One session on every store."""
    with ExitStack() as stack:
        kernels: dict[str, SdkKernel] = {}
        for broker in brokers:
            kernel = through_sdk(broker).open()
            stack.callback(kernel.close)
            assert isinstance(kernel, SdkKernel)
            kernel.ask(_STATE, _CELL)
            kernels[broker.name] = kernel
        return Section("resume", "Resume of a small session", _METHOD, _figures(kernels, plan.resume))


def _figures(kernels: dict[str, SdkKernel], bounds: Bounds) -> list[Figure]:
    resumed: dict[str, list[float]] = {name: [] for name in kernels}
    warm: dict[str, list[float]] = {name: [] for name in kernels}
    for number in rounds(bounds):
        for name in in_turn(list(kernels), number):
            _put_to_sleep(kernels[name])
            resumed[name].append(_time_cell(kernels[name]))
            warm[name].append(_time_cell(kernels[name]))
    return [
        Figure(
            key=f"resume/{name}",
            title=f"first cell after eviction: SDK, {name}",
            unit="ms",
            ours=Series("resumed", resumed[name]),
            peer=Series("warm cell", warm[name]),
            target=_TARGET,
        )
        for name in kernels
    ]


def _put_to_sleep(kernel: SdkKernel) -> None:
    pid = int(kernel.ask("", _PID))
    kernel.session.evict()
    if not is_gone(pid, _EXIT_SECONDS):
        raise RuntimeError("an evicted session's worker does not end")


def _time_cell(kernel: SdkKernel) -> float:
    answers = []
    spent = timed(lambda: answers.append(kernel.ask("", _CELL)))
    if answers != [_RESULT]:
        raise RuntimeError(f"the session came back with {answers} instead of {_RESULT}")
    return spent
