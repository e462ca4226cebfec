"""What a scenario returns: the vocabulary between the scenarios and the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Series:
    """The samples of one subject, in the order they were taken."""

    label: str
    samples: list[float]


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity of ours, beside that of a peer if it has one. Less is better in every unit."""

    key: str
    """Names the figure over all reports, so that they can be compared."""
    title: str
    unit: str
    ours: Series
    peer: Series | None = None
    target: str | None = None
    """The design's target in its own words; None: there is none yet."""


@dataclass(frozen=True, slots=True)
class Section:
    """The figures of one scenario, and how they were taken."""

    key: str
    title: str
    method: str
    figures: Sequence[Figure]


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run."""

    started: str
    seconds: float
    machine: Mapping[str, object]
    plan: Mapping[str, object]
    sections: Sequence[Section]
    remarks: Sequence[str] = field(default=())
    """What a reader must know before believing the figures: what was skipped, a machine that was busy."""
