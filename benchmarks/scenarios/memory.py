"""What one more kernel costs: in memory while warm, in processes while idle."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from benchmarks.figures import Figure, Section, Series
from benchmarks.kernels import Kernel, SdkKernel, peer, through_sdk
from benchmarks.place import LocalBroker
from benchmarks.processes import family, is_gone, pss, uss
from benchmarks.rounds import Plan
from benchmarks.scenarios.start import LIBRARIES

_USE = "frame = pandas.DataFrame({'a': numpy.arange(1000.0)}); summary = frame.describe()"
_EXIT_SECONDS = 10.0
_TARGET_USS = "≤ 1/8"
_TARGET_IDLE = "no process"
_METHOD = (
    "Several kernels of both kinds at the same time, the libraries imported in each. USS: what would be free "
    "if the process ended. “All processes” is the sum of PSS over everything that runs for these kernels; "
    "for ours broker, zygote and spare workers are included. Then every session is evicted, and what is left "
    "of it is its state in the store."
)


def measure(broker: LocalBroker, plan: Plan) -> Section:
    """Memory of warm kernels, then what is left of ours when they sleep."""
    with ExitStack() as stack:

        def opened(kernel: Kernel) -> Kernel:
            stack.callback(kernel.close)
            return kernel

        theirs = [opened(peer().open()) for _ in range(plan.kernels)]
        ours = [opened(through_sdk(broker).open()) for _ in range(plan.kernels)]
        peer_pids, our_pids = _load(theirs), _load(ours)
        if not set(our_pids) <= set(family(broker.pid)):
            raise RuntimeError("the sessions' workers are not found among the broker's processes")
        figures = [_compare("memory-imported", "USS, libraries imported", uss, our_pids, peer_pids)]
        for kernel in [*theirs, *ours]:
            kernel.run(_USE)
        figures += [
            _compare("memory-used", "USS, after a first DataFrame", uss, our_pids, peer_pids),
            _total(family(broker.pid), peer_pids),
            *_sleep([kernel for kernel in ours if isinstance(kernel, SdkKernel)], our_pids),
        ]
    return Section("memory", "One more kernel", _METHOD, figures)


def _load(kernels: Sequence[Kernel]) -> list[int]:
    """Import the libraries in every kernel; the kernels' processes."""
    return [int(kernel.ask(LIBRARIES, "__import__('os').getpid()")) for kernel in kernels]


def _compare(
    key: str, title: str, read: Callable[[int], float], ours: Sequence[int], theirs: Sequence[int]
) -> Figure:
    return Figure(
        key=key,
        title=title,
        unit="MiB",
        ours=Series("one worker", [read(pid) for pid in ours]),
        peer=Series("one ipykernel", [read(pid) for pid in theirs]),
        target=_TARGET_USS,
    )


def _total(ours: Sequence[int], theirs: Sequence[int]) -> Figure:
    return Figure(
        key="memory-all",
        title=f"all processes of {len(theirs)} kernels, PSS",
        unit="MiB",
        ours=Series("broker, zygote, spares, workers", [sum(pss(pid) for pid in ours)]),
        peer=Series("ipykernels", [sum(pss(pid) for pid in theirs)]),
    )


def _sleep(kernels: Sequence[SdkKernel], pids: Sequence[int]) -> list[Figure]:
    """Evict every session."""
    states = [kernel.session.evict() for kernel in kernels]
    left = [0.0 if is_gone(pid, _EXIT_SECONDS) else 1.0 for pid in pids]
    sizes = [state["size"] / 1024 for state in states]
    return [
        Figure(
            key="idle-processes",
            title="processes of an idle (cold) kernel",
            unit="processes",
            ours=Series("cold session", left),
            peer=Series("ipykernel", [1.0] * len(pids)),
            target=_TARGET_IDLE,
        ),
        Figure("idle-state", "state of a cold session in the store", "KiB", Series("cold session", sizes)),
    ]
