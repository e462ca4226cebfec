"""The benchmarks of state run, and read their targets against what they measured."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.figures import Figure, Report, Section, Series
from benchmarks.state.namespaces import CELLS, namespaces
from benchmarks.state.targets import TARGETS, Target
from benchmarks.state.verdict import Verdict, to_markdown, verdicts

ROOT = Path(__file__).parents[2]


def run(out: Path, *only: str) -> dict[str, dict[str, object]]:
    """A quick run without Kishu, which is installed on demand; its figures by key."""
    command = [sys.executable, "-m", "benchmarks.state", "--quick", "--kishu", "no", "--out", str(out)]
    command += [part for name in only for part in ("--only", name)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "state.json").read_text())
    assert "No figures of Kishu: left out on demand." in report["remarks"]
    assert len(report["verdict"]) == len(TARGETS)
    assert done.stdout in (out / "state.md").read_text()
    return {figure["key"]: figure for section in report["sections"] for figure in section["figures"]}


def test_a_quick_run_of_the_engine_measures_every_cell_beside_its_peers(tmp_path: Path) -> None:
    figures = run(tmp_path, "large")
    for cell in CELLS:
        assert f"cells/{cell.key}/bytes" in figures
        for peer in ("cloudpickle", "hash-everything"):
            assert figures[f"cells/{cell.key}/{peer}/cpu"]["ratio"]
    assert figures["large-load/full/cpu"]["ratio"]
    assert figures["large-load/small/wall"]["ratio"]


def test_a_quick_run_through_kernels_measures_both_stores(tmp_path: Path) -> None:
    figures = run(tmp_path, "transfer")
    for store in ("sqlite", "redis"):
        for key in (f"throughput/{store}/commit/wall", f"throughput/{store}/resume/wall"):
            assert figures[key]["ratio"]
        assert figures[f"kernel-small/{store}"]["ratio"]


def judged(*figures: Figure) -> dict[Target, Verdict]:
    report = Report("now", 1.0, {}, {}, [Section("s", "S", "how", figures)])
    return {verdict.target: verdict for verdict in verdicts(report)}


def figure(key: str, ours: Sequence[float], peer: Sequence[float] | None) -> Figure:
    theirs = Series("peer", list(peer)) if peer else None
    return Figure(key, key, "ms", Series("ours", list(ours)), theirs)


def target(keys: str) -> Target:
    return next(target for target in TARGETS if target.keys == keys)


def test_one_figure_over_the_limit_misses_the_target_and_is_named() -> None:
    good, bad = figure("first/a/Kishu/cpu", [1], [2]), figure("first/b/Kishu/cpu", [3, 3, 99], [2])
    found = judged(good, bad)[target("first/*/Kishu/cpu")]
    assert (found.word, found.measured, found.worst) == ("missed", 2, 1.5)
    assert list(found.missed) == ["first/b/Kishu/cpu 1.5"]


@pytest.mark.parametrize(("size", "word"), [(1_100_000, "met"), (1_200_000, "missed")])
def test_a_limit_on_what_is_written_needs_no_peer(size: int, word: str) -> None:
    assert (
        judged(figure("cells/array item/bytes", [size], None))[target("cells/array item/bytes")].word == word
    )


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    found = judged()
    assert {verdict.word for verdict in found.values()} == {"not measured"}
    assert "small sizes" in to_markdown(list(found.values()), scaled=True)


@pytest.mark.parametrize("letter", sorted(namespaces(1.0)))
def test_a_namespace_shrinks_with_its_scale(letter: str) -> None:
    large, small = namespaces(1.0)[letter], namespaces(0.01)[letter]
    assert large.title == small.title
    assert letter in "ae" or large.code != small.code
