"""What is said about a list of samples."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Summary:
    """One list of samples in five numbers."""

    n: int
    p50: float
    p99: float
    min: float
    max: float


def summarise(samples: Sequence[float]) -> Summary:
    """The summary of at least one sample. With fewer than a hundred, p99 is close to the maximum."""
    ordered = sorted(samples)
    return Summary(len(ordered), quantile(ordered, 0.5), quantile(ordered, 0.99), ordered[0], ordered[-1])


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which that share of the ordered samples lies, interpolated between two of them."""
    position = share * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def ratio(ours: Sequence[float], peer: Sequence[float]) -> float | None:
    """Median over median; None where the peer's is zero."""
    divisor = summarise(peer).p50
    return summarise(ours).p50 / divisor if divisor else None
