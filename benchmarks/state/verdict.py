"""The targets read against a run."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from benchmarks.figures import Figure, Report, Section
from benchmarks.state.targets import TARGETS, Target
from benchmarks.stats import ratio, summarise


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target: the worst figure it speaks of, and every figure that misses it."""

    target: Target
    measured: int
    """Figures that it speaks of in this run."""
    worst: float | None
    missed: Sequence[str]
    """Keys and values."""

    @property
    def word(self) -> str:
        """Met, missed, or not measured."""
        if not self.measured:
            return "not measured"
        return "missed" if self.missed else "met"


def verdicts(report: Report) -> list[Verdict]:
    """One for each target."""
    figures = [figure for section in report.sections for figure in section.figures]
    return [_judge(target, figures) for target in TARGETS]


def named(section: Section) -> Section:
    """A section whose figures say what was promised of them."""
    figures = [
        replace(
            it, target="; ".join(target.says for target in TARGETS if fnmatchcase(it.key, target.keys)) or "–"
        )
        for it in section.figures
    ]
    return replace(section, figures=figures)


def _judge(target: Target, figures: Sequence[Figure]) -> Verdict:
    found = {f.key: _value(target, f) for f in figures if fnmatchcase(f.key, target.keys)}
    values = {key: value for key, value in found.items() if value is not None}
    missed = [f"{key} {value:.3g}" for key, value in values.items() if value > target.limit]
    return Verdict(target, len(values), max(values.values(), default=None), missed)


def _value(target: Target, figure: Figure) -> float | None:
    if target.of_ours:
        return summarise(figure.ours.samples).p50
    return ratio(figure.ours.samples, figure.peer.samples) if figure.peer else None


def to_json(found: Sequence[Verdict]) -> list[dict[str, Any]]:
    """As plain data."""
    return [{**asdict(verdict), "verdict": verdict.word} for verdict in found]


def to_markdown(found: Sequence[Verdict], scaled: bool) -> str:
    """As a table; that of a quick run says what it is worth."""
    lines = ["## Verdict", ""]
    if scaled:
        lines += ["> **A quick run: small sizes and few samples. It shows that the harness works.**", ""]
    lines += ["| target | promise | worst measured | limit | verdict | misses |", "|---|---|---|---|---|---|"]
    lines += _rows(found)
    return "\n".join(lines) + "\n"


def _rows(found: Sequence[Verdict]) -> Iterator[str]:
    for verdict in found:
        target = verdict.target
        cells = [target.name, target.says, _short(verdict.worst), _short(target.limit)]
        cells += [f"**{verdict.word}**", ", ".join(verdict.missed) or "–"]
        yield f"| {' | '.join(cells)} |"


def _short(value: float | None) -> str:
    if value is None:
        return "–"
    return f"1/{1 / value:.0f}" if 0 < value < 0.1 else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
