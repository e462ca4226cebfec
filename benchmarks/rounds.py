"""How many samples are taken, for how long, and in which order."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bounds:
    """A measurement ends after `count` rounds, or with the round in which `seconds` are over."""

    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The bounds of every measurement; together they bound the run."""

    start: Bounds
    start_libraries: Bounds
    from_nothing: Bounds
    warm: Bounds
    """For each cell that is measured; there are two."""
    resume: Bounds
    kernels: int
    """Kernels of each kind whose memory is measured."""

    def at_most(self, count: int) -> "Plan":
        """The same with no more than `count` rounds or kernels."""
        names = ("start", "start_libraries", "from_nothing", "warm", "resume")
        bounds: dict[str, Bounds] = {name: getattr(self, name) for name in names}
        smaller = {name: replace(one, count=min(one.count, count)) for name, one in bounds.items()}
        return replace(self, **smaller, kernels=min(self.kernels, count))


FULL = Plan(
    start=Bounds(20, 35),
    start_libraries=Bounds(15, 60),
    from_nothing=Bounds(5, 30),
    warm=Bounds(300, 25),
    resume=Bounds(50, 10),
    kernels=4,
)
QUICK = Plan(
    start=Bounds(3, 6),
    start_libraries=Bounds(3, 10),
    from_nothing=Bounds(1, 8),
    warm=Bounds(40, 4),
    resume=Bounds(10, 3),
    kernels=2,
)


def rounds(bounds: Bounds) -> Iterator[int]:
    """Numbers of rounds, from 0; at least one."""
    deadline = time.monotonic() + bounds.seconds
    for number in range(bounds.count):
        if number and time.monotonic() >= deadline:
            return
        yield number


def in_turn(subjects: Sequence[T], number: int) -> Sequence[T]:
    """The order of a round: A B C, then C B A, so that no subject always profits from its neighbour."""
    return subjects if number % 2 == 0 else subjects[::-1]
