"""`python -m benchmarks.state`: one run, one report, one verdict."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks import report as page
from benchmarks.__main__ import busy, count
from benchmarks.figures import Report, Section
from benchmarks.machine import describe_machine, load
from benchmarks.place import private_place
from benchmarks.redis_server import find_redis_server
from benchmarks.state import compression, kishu_place, large, overhead, saving, stores, transfer, verdict
from benchmarks.state.namespaces import has_scikit_learn
from benchmarks.state.plan import FULL, QUICK, Plan

_RESULTS = Path(__file__).parents[1] / "results"
_NO_REDIS = "No figures on Redis: redis-server is not on PATH."
_SCENARIOS: dict[str, Callable[[Plan, str | None, Path], list[Section]]] = {
    "saving": lambda plan, kishu, _home: saving.measure(plan, kishu),
    "large": lambda plan, kishu, _home: large.measure(plan, kishu),
    "stores": lambda plan, _kishu, home: stores.measure(plan, home),
    "transfer": lambda plan, _kishu, home: transfer.measure(plan, home),
    "overhead": lambda plan, _kishu, home: overhead.measure(plan, home),
    "compression": lambda plan, _kishu, home: compression.measure(plan, home),
}


def main() -> int:
    """Run what the command line asks for."""
    arguments = _parse()
    report, found = _run(arguments)
    table = verdict.to_markdown(found, scaled=arguments.quick)
    arguments.out.mkdir(parents=True, exist_ok=True)
    data = page.to_json(report) | {"verdict": verdict.to_json(found)}
    (arguments.out / f"{arguments.name}.json").write_text(
        json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    )
    (arguments.out / f"{arguments.name}.md").write_text(f"{page.to_markdown(report)}\n{table}")
    sys.stdout.write(table)
    _say(f"written: {arguments.out / arguments.name}.json and .md")
    return 0


def _run(arguments: argparse.Namespace) -> tuple[Report, list[verdict.Verdict]]:
    plan = QUICK if arguments.quick else FULL
    if arguments.at_most is not None:
        plan = plan.at_most(arguments.at_most)
    started, begin = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    machine, remarks = describe_machine(), []
    if find_redis_server() is None:
        remarks.append(_NO_REDIS)
    if not has_scikit_learn():
        remarks.append("No figures of a RandomForest: scikit-learn is not installed.")
    if not compression.has_zstandard():
        remarks.append("No figures of compression: zstandard is not installed.")
    with private_place() as home:
        kishu = _kishu(arguments.kishu, home, remarks)
        sections: list[Section] = []
        for name in arguments.only or _SCENARIOS:
            sections += _announced(name, partial(_SCENARIOS[name], plan, kishu, home))
    machine["load_at_end"] = load()
    remarks += busy(machine)
    report = Report(started, time.monotonic() - begin, machine, asdict(plan), sections, remarks)
    return report, verdict.verdicts(report)


def _kishu(wanted: str | None, home: Path, remarks: list[str]) -> str | None:
    if wanted == "no":
        remarks.append("No figures of Kishu: left out on demand.")
        return None
    try:
        return wanted or kishu_place.make(home / "kishu")
    except RuntimeError as error:
        remarks.append(f"No figures of Kishu: {error}")
        return None


def _announced(name: str, measure: Callable[[], list[Section]]) -> list[Section]:
    begin = time.monotonic()
    _say(f"{name} …")
    sections = [verdict.named(section) for section in measure()]
    _say(f"{name}: {time.monotonic() - begin:.0f} s")
    return sections


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.state", description="Measure how state is saved and brought back."
    )
    parser.add_argument("--quick", action="store_true", help="small sizes: two minutes")
    parser.add_argument(
        "--at-most", type=count, metavar="N", help="take at most N samples of what takes long"
    )
    parser.add_argument("--only", action="append", choices=list(_SCENARIOS), help="repeatable")
    parser.add_argument(
        "--kishu", metavar="PYTHON", help="an interpreter that has Kishu, or “no” (default: install it apart)"
    )
    parser.add_argument("--out", type=Path, default=_RESULTS, metavar="DIR", help="where reports are written")
    parser.add_argument("--name", default="state", help="the report's name")
    return parser.parse_args()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
