"""From asking for a kernel to its first result."""

from collections.abc import Callable, Sequence

from benchmarks.figures import Figure, Section, Series
from benchmarks.kernels import Subject, peer, through_client, through_sdk, timed
from benchmarks.place import LocalBroker
from benchmarks.rounds import Bounds, Plan, in_turn, rounds

LIBRARIES = "import numpy, pandas, matplotlib.pyplot"
_TARGET_LIBRARIES = "≥ 100× sooner; 10–20 ms"
_TARGET_NOTHING = "≤ 1×"
_METHOD = (
    "Start a kernel (KernelManager.start_kernel, client, channels; or an SDK Session), run one cell at once, "
    "stop the clock at its execute_reply. The broker runs already and has preloaded the libraries, as after "
    "the first kernel of a day; with “broker not running” it starts within the time measured, and is "
    "stopped again. Of the others one round is thrown away (imports of the measuring process, font cache). "
    "A ZMQ client tries again every 100 ms until a new process listens: that is part of ipykernel's figure, "
    "as it is for its users."
)


def measure(brokers: Sequence[LocalBroker], cold: LocalBroker, plan: Plan) -> Section:
    """Bare, with libraries, and with a broker that is not running."""
    subjects = [peer(), *(make(broker) for broker in brokers for make in (through_client, through_sdk))]
    bare = _sample(subjects, "", plan.start)
    loaded = _sample(subjects, LIBRARIES, plan.start_libraries)
    nothing = _sample([peer(), through_client(cold)], LIBRARIES, plan.from_nothing, before=cold.stop)
    cold.stop()
    figures = [
        *_figures("start", "first result", bare, None),
        *_figures("start-libraries", "first result, libraries imported", loaded, _TARGET_LIBRARIES),
        *_figures("start-nothing", "the same, broker not running", nothing, _TARGET_NOTHING),
    ]
    return Section("start", "Start to first result", _METHOD, figures)


def _sample(
    subjects: Sequence[Subject], code: str, bounds: Bounds, before: Callable[[], None] | None = None
) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {subject.label: [] for subject in subjects}
    warm_up = before is None  # a broker that is to start from nothing cannot be warmed up
    if warm_up:
        for subject in subjects:
            _first_result(subject, code)
    for number in rounds(bounds):
        for subject in in_turn(subjects, number):
            if before is not None:
                before()
            samples[subject.label].append(_first_result(subject, code))
    return samples


def _first_result(subject: Subject, code: str) -> float:
    """Milliseconds from nothing to a checked result."""
    opened = []

    def begin() -> None:
        opened.append(subject.open())
        answer = opened[0].ask(code, "6 * 7")
        if answer != "42":
            raise RuntimeError(f"{subject.label} says that 6 * 7 is {answer}")

    try:
        return timed(begin)
    finally:
        for kernel in opened:
            kernel.close()


def _figures(key: str, title: str, samples: dict[str, list[float]], target: str | None) -> list[Figure]:
    (peer_label, peer_samples), *ours = samples.items()
    beside = Series(peer_label, peer_samples)
    return [
        Figure(f"{key}/{label}", f"{title}: {label}", "ms", Series(label, found), beside, target)
        for label, found in ours
    ]
