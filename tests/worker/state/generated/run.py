"""Runs generated programs in plain IPython and in sessions that are moved, and compares them.

python tests/worker/state/generated/run.py --programs 20000 --seed 7 --shares 2
python tests/worker/state/generated/run.py --only 7:1234     one program again, made as small as it goes
"""

import argparse
import os
import subprocess
import sys
import time

_TOGETHER = 4
"""Programs in one session: a process costs more than a cell."""


def main() -> int:
    """0 if no program differs."""
    options = _options()
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})
    if options.shares > 1 and not options.only:
        return _share_out(options)
    return _run(options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--programs", type=int, default=500)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--shares", type=int, default=1, help="processes to share the programs")
    parser.add_argument("--share", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--of", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--only", help="the program with this name")
    parser.add_argument("--failures", type=int, default=3, help="stop after so many")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no more after so many")
    parser.add_argument("--raw", action="store_true", help="leave programs that fail as large as they are")
    parser.add_argument("--thorough", action="store_true", help="every program on every journey")
    parser.add_argument("--plant", default="", choices=("change", "alias"), help="a fault that must be found")
    parser.add_argument("--show", action="store_true", help="print the programs, run nothing")
    return parser.parse_args()


def _share_out(options: argparse.Namespace) -> int:
    command = [sys.executable, __file__, *sys.argv[1:], "--shares", "1", "--of", str(options.shares)]
    children = [subprocess.Popen([*command, "--share", str(n)]) for n in range(options.shares)]
    return max(child.wait() for child in children)


def _run(options: argparse.Namespace) -> int:
    from programs import generate

    seeds = [options.only] if options.only else [
        f"{options.seed}:{n}" for n in range(options.share, options.programs // _TOGETHER, options.of)
    ]  # fmt: skip
    if options.show:
        for seed in seeds:
            print(f"# {seed}\n" + "\n# --\n".join(generate(seed, _TOGETHER).cells) + "\n")
        return 0
    from journeys import Lab

    lab, failures, began = Lab(options.thorough or bool(options.only), options.plant), 0, time.monotonic()
    for seed in seeds:
        if time.monotonic() - began > options.seconds:
            break
        program = generate(seed, _TOGETHER)
        difference = lab.difference(program)
        if difference:
            failures += 1
            print(lab.report(program, difference, options.raw), flush=True)
            if failures == options.failures:
                break
    seconds = time.monotonic() - began
    done = f"{lab.programs} programs, {lab.cells} cells, {lab.moves} moves, {failures} failures"
    print(f"{done}, {seconds:.0f} s; {lab.tally()}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
