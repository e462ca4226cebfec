"""A run written down: JSON with every sample, and a page for people."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Report, Section, Series
from benchmarks.stats import ratio, summarise

FORMAT = 1
"""Grows when a reader of older reports would misread a newer one; new keys do not change it."""
_NO_TARGET = "baseline, no target yet"
_HEADER = (
    "| figure | ours p50 / p99 | peer p50 / p99 | ours : peer | samples | design target |",
    "|---|---|---|---|---|---|",
)


def write(report: Report, folder: Path, name: str) -> tuple[Path, Path]:
    """Write `name`.json and `name`.md; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    data, page = folder / f"{name}.json", folder / f"{name}.md"
    data.write_text(json.dumps(to_json(report), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page.write_text(to_markdown(report), encoding="utf-8")
    return data, page


def to_json(report: Report) -> dict[str, Any]:
    """The report as plain data."""
    return {
        "format": FORMAT,
        "started": report.started,
        "seconds": round(report.seconds, 1),
        "machine": dict(report.machine),
        "plan": dict(report.plan),
        "remarks": list(report.remarks),
        "sections": [
            {
                "key": section.key,
                "title": section.title,
                "method": section.method,
                "figures": [_figure_to_json(figure) for figure in section.figures],
            }
            for section in report.sections
        ],
    }


def to_markdown(report: Report) -> str:
    """The report as a page."""
    lines = [f"# Benchmark of {report.started}", ""]
    lines += [f"> **{remark}**" for remark in report.remarks]
    lines += ["", *_machine_lines(report.machine), ""]
    lines += [
        f"The run took {report.seconds:.0f} s. Times are wall-clock, p50 / p99 over all samples; with fewer "
        "than a hundred samples p99 is close to the maximum. The ratio is median over median; both sides "
        "were measured in this run, in turn (A B, B A, …). Targets are the design's.",
    ]
    for section in report.sections:
        lines += ["", *_section_lines(section)]
    return "\n".join(lines) + "\n"


def _figure_to_json(figure: Figure) -> dict[str, Any]:
    return {
        "key": figure.key,
        "title": figure.title,
        "unit": figure.unit,
        "ours": _series_to_json(figure.ours),
        "peer": _series_to_json(figure.peer) if figure.peer else None,
        "ratio": ratio(figure.ours.samples, figure.peer.samples) if figure.peer else None,
        "target": figure.target,
    }


def _series_to_json(series: Series) -> dict[str, Any]:
    return {"label": series.label, **asdict(summarise(series.samples)), "samples": list(series.samples)}


def _machine_lines(machine: Mapping[str, object]) -> Iterator[str]:
    for name, value in machine.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{key} {found}" for key, found in value.items())
        elif isinstance(value, list):
            value = " ".join(str(item) for item in value)
        yield f"- {name.replace('_', ' ')}: {'unknown' if value is None else value}"


def _section_lines(section: Section) -> Iterator[str]:
    yield f"## {section.title}"
    yield ""
    yield section.method
    yield ""
    yield from _HEADER
    for figure in section.figures:
        yield _row(figure)


def _row(figure: Figure) -> str:
    counts = [str(len(figure.ours.samples))]
    peer, times = "none", "–"
    if figure.peer is not None:
        counts.append(str(len(figure.peer.samples)))
        peer = f"{_spread(figure.peer, figure.unit)} ({figure.peer.label})"
        times = _times(ratio(figure.ours.samples, figure.peer.samples))
    cells = [
        figure.title,
        _spread(figure.ours, figure.unit),
        peer,
        times,
        " / ".join(counts),
        figure.target or _NO_TARGET,
    ]
    return f"| {' | '.join(cells)} |"


def _spread(series: Series, unit: str) -> str:
    summary = summarise(series.samples)
    return f"{_number(summary.p50)} / {_number(summary.p99)} {unit}"


def _times(value: float | None) -> str:
    if value is None:
        return "–"
    inverse = f" (1/{_number(1 / value)})" if 0 < value < 0.5 else ""
    return f"{_number(value)}×{inverse}"


def _number(value: float) -> str:
    """Three digits, never an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
