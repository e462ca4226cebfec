"""`python -m benchmarks`: one run, one report."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks.figures import Report, Section
from benchmarks.machine import describe_machine, load
from benchmarks.place import LocalBroker, private_place
from benchmarks.redis_server import RedisServer, find_redis_server
from benchmarks.report import to_markdown, write
from benchmarks.rounds import FULL, QUICK, Plan
from benchmarks.scenarios import memory, resume, start, warm

_RESULTS = Path(__file__).parent / "results"
_NO_REDIS = "No figures on Redis: redis-server is not on PATH."


def main() -> int:
    """Run what the command line asks for."""
    arguments = _parse()
    plan: Plan = QUICK if arguments.quick else FULL
    if arguments.at_most is not None:
        plan = plan.at_most(arguments.at_most)
    report = run(("sqlite", "redis") if arguments.store == "both" else (arguments.store,), plan)
    sys.stdout.write(to_markdown(report))
    commit = str(report.machine["commit"] or "").split(" ")[0]
    name = arguments.name or "-".join(part for part in (report.started[:16].replace(":", ""), commit) if part)
    for path in write(report, arguments.out, name):
        _say(f"written: {path}")
    return 0


def run(stores: Sequence[str], plan: Plan) -> Report:
    """Take all figures on these stores."""
    started, begin = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    machine = describe_machine()
    with private_place() as home, _brokers(stores, home) as brokers:
        sections = [_announced(scenario) for scenario in _scenarios(brokers, home, plan)]
    machine["load_at_end"] = load()
    return Report(
        started=started,
        seconds=time.monotonic() - begin,
        machine=machine,
        plan={"stores": [broker.name for broker in brokers], **asdict(plan)},
        sections=sections,
        remarks=_remarks(stores, brokers, machine),
    )


def _scenarios(
    brokers: Sequence[LocalBroker], home: Path, plan: Plan
) -> list[tuple[str, Callable[[], Section]]]:
    cold = LocalBroker("sqlite", home / "cold")
    return [
        ("start to first result", partial(start.measure, brokers, cold, plan)),
        ("a warm cell", partial(warm.measure, brokers, plan)),
        ("one more kernel", partial(memory.measure, brokers[0], plan)),
        ("resume", partial(resume.measure, brokers, plan)),
    ]


@contextmanager
def _brokers(stores: Sequence[str], home: Path) -> Iterator[list[LocalBroker]]:
    """A broker for each store that can be had; each starts with the first kernel that needs it."""
    with ExitStack() as stack:
        brokers = []
        for store in stores:
            url = None
            if store == "redis":
                program = find_redis_server()
                if program is None:
                    _say(f"SKIPPED: {_NO_REDIS}")
                    continue
                url = stack.enter_context(RedisServer(program, home / "redis-data")).url
            broker = LocalBroker(store, home / store, url)
            stack.callback(broker.stop)
            brokers.append(broker)
        if not brokers:
            raise SystemExit("there is no store to measure on")
        yield brokers


def _announced(scenario: tuple[str, Callable[[], Section]]) -> Section:
    title, measure = scenario
    begin = time.monotonic()
    _say(f"{title} …")
    section = measure()
    _say(f"{title}: {time.monotonic() - begin:.0f} s")
    return section


def _remarks(stores: Sequence[str], brokers: Sequence[LocalBroker], machine: dict[str, object]) -> list[str]:
    return [*([] if len(brokers) == len(stores) else [_NO_REDIS]), *busy(machine)]


def busy(machine: dict[str, object]) -> list[str]:
    """What is to be said if others used the machine."""
    at_start, cores = machine["load_at_start"], machine["usable_cores"]
    assert isinstance(at_start, list) and isinstance(cores, int)
    if at_start[0] <= cores / 4:
        return []
    return [
        f"The machine was busy before the run (load {at_start[0]} on {cores} cores): "
        "absolute figures are too high, ratios may be off."
    ]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure Serverless Python beside ipykernel, in one run."
    )
    parser.add_argument("--quick", action="store_true", help="few samples: a minute instead of four")
    parser.add_argument("--store", choices=("sqlite", "redis", "both"), default="both")
    parser.add_argument("--out", type=Path, default=_RESULTS, metavar="DIR", help="where reports are written")
    parser.add_argument("--name", help="the report's name (default: time and commit)")
    parser.add_argument("--at-most", type=count, metavar="N", help="take at most N samples of every figure")
    return parser.parse_args()


def count(text: str) -> int:
    """A number of the command line."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
