"""The benchmark runs and reports in the agreed shape. How fast anything is, is not asked here."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.stats import ratio, summarise

ROOT = Path(__file__).parents[2]
STORES = ("sqlite", "redis")
PATHS = ("Jupyter client", "SDK")
ON_EVERY_PATH = ("start", "start-libraries", "warm-add", "warm-print")
KEYS = {
    *(f"{key}/{path}, {store}" for key in ON_EVERY_PATH for path in PATHS for store in STORES),
    *(f"resume/{store}" for store in STORES),
    *("start-nothing/Jupyter client, sqlite", "memory-imported", "memory-used", "memory-all"),
    *("idle-processes", "idle-state"),
}


def run(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", *options],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def scratch() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="bm-") as folder:  # not pytest's: the path of a socket is short
        yield folder


def test_a_quick_run_writes_every_figure_and_leaves_nothing_behind(tmp_path: Path, scratch: str) -> None:
    done = run("--at-most", "1", "--out", str(tmp_path), "--name", "smoke", TMPDIR=scratch)

    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"smoke.json", "smoke.md"}
    assert done.stdout == (tmp_path / "smoke.md").read_text()
    report = json.loads((tmp_path / "smoke.json").read_text())
    assert report["format"] == 1
    assert report["plan"]["stores"] == list(STORES)
    machine = report["machine"]
    assert {"cpu", "cores", "python", "commit", "load_at_start", "load_at_end"} <= machine.keys()
    assert {"ipykernel", "numpy", "serverless-ipykernel"} <= machine["libraries"].keys()
    figures = {figure["key"]: figure for section in report["sections"] for figure in section["figures"]}
    assert figures.keys() == KEYS
    for figure in figures.values():
        check_figure(figure)
        assert f"| {figure['title']} |" in done.stdout
    assert list(Path(scratch).iterdir()) == []
    assert not [process for process in psutil.process_iter() if is_from(process, scratch)]


def check_figure(figure: dict[str, Any]) -> None:
    series = [side for side in (figure["ours"], figure["peer"]) if side is not None]
    for side in series:
        summary = summarise(side["samples"])
        assert side == {"label": side["label"], "samples": side["samples"], **vars_of(summary)}
        assert summary.n == 1
        assert summary.min > 0 or figure["key"] == "idle-processes"
    if figure["peer"] is None:
        assert figure["ratio"] is None
    else:
        assert figure["ratio"] == ratio(figure["ours"]["samples"], figure["peer"]["samples"])


def vars_of(summary: Any) -> dict[str, float]:
    return {name: getattr(summary, name) for name in ("n", "p50", "p99", "min", "max")}


def is_from(process: psutil.Process, folder: str) -> bool:
    """Whether it was given this folder for its temporary files."""
    try:
        return process.environ().get("TMPDIR") == folder
    except psutil.Error:
        return False


def test_without_a_redis_server_it_says_so(tmp_path: Path, scratch: str) -> None:
    done = run("--store", "redis", "--out", str(tmp_path), PATH=str(tmp_path), TMPDIR=scratch)
    assert done.returncode != 0
    assert "SKIPPED: No figures on Redis" in done.stderr
    assert list(Path(scratch).iterdir()) == []


@pytest.mark.parametrize(
    ("samples", "p50", "p99"),
    [([7], 7, 7), ([3, 1, 2], 2, 2.98), (range(101), 50, 99), ([1, 2, 3, 10], 2.5, 9.79)],
)
def test_the_summary_of_samples(samples: list[float], p50: float, p99: float) -> None:
    summary = summarise(samples)
    assert (summary.p50, summary.p99) == pytest.approx((p50, p99))
    assert (summary.n, summary.min, summary.max) == (len(samples), min(samples), max(samples))


def test_a_ratio_is_median_over_median_and_none_over_zero() -> None:
    assert ratio([1, 2, 9], [4, 4, 100]) == 0.5
    assert ratio([1], [0, 0, 1]) is None
