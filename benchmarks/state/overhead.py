"""What tracking changes costs the code that runs: the same cells in both kernels."""

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.figures import Figure, Section, Series
from benchmarks.kernels import Kernel, peer, through_sdk
from benchmarks.place import LocalBroker
from benchmarks.rounds import in_turn
from benchmarks.state.plan import Plan

_PREPARE = """
import time, numpy as np, pandas as pd
import matplotlib; matplotlib.use('agg')
import matplotlib.pyplot as plt
frame = pd.DataFrame({'key': np.arange(400_000) % 977, 'x': np.random.default_rng(1).random(400_000)})
total = 0
"""
_CELLS = {
    "loop": "for turn in range({turns}):\n    total = total + 1",
    "pandas": (
        "for again in range(3):\n"
        "    means = frame.groupby('key').x.mean()\n"
        "    wide = frame.assign(y=frame.x * 2).query('y > 0.1').merge(means, on='key')\n"
        "    answer = wide.sort_values('y').groupby('key').y.agg(['mean', 'std'])"
    ),
    "matplotlib": (
        "for again in range(3):\n"
        "    figure, axes = plt.subplots(2, 2)\n"
        "    for ax in axes.flat: ax.plot(frame.x[:2000]); ax.set_title('one'); ax.legend(['x'])\n"
        "    figure.canvas.draw(); plt.close(figure)"
    ),
}
_TIMED = "cpu, wall = time.thread_time(), time.perf_counter()\n{cell}\n"
_SPENT = "[(time.thread_time() - cpu) * 1e3, (time.perf_counter() - wall) * 1e3]"
_METHOD = (
    "The same cells in a session of ours (SDK, SQLite) and in ipykernel (jupyter_client), in turn: {turns} "
    "turns of a loop at top level, three accesses to globals in each, a pandas pipeline, a matplotlib plot. "
    "“inside”: CPU time of the main thread, read by the cell itself; “inside, wall” is its clock. “outside” "
    "is what the client waits for, so ours includes the commit of what the cell made."
)
_TITLES = {"inside": "cell's own CPU", "inside-wall": "cell's own wall time", "outside": "seen from outside"}


def measure(plan: Plan, home: Path) -> list[Section]:
    """One section."""
    broker = LocalBroker("sqlite", home / "overhead")
    with ExitStack() as stack:
        stack.callback(broker.stop)
        kernels = {"ours": through_sdk(broker).open(), "ipykernel": peer().open()}
        for kernel in kernels.values():
            stack.callback(kernel.close)
            kernel.ask(_PREPARE, "1")
        figures = []
        for what, cell in _CELLS.items():
            code = _TIMED.format(cell=cell.format(turns=plan.loops))
            samples = _measure(kernels, code, plan.overheads)
            figures += [_figure(what, part, samples) for part in _TITLES]
    return [Section("overhead", "Running code", _METHOD.format(turns=plan.loops), figures)]


def _measure(kernels: dict[str, Kernel], code: str, count: int) -> dict[tuple[str, str], list[float]]:
    samples: dict[tuple[str, str], list[float]] = {}
    for number in range(-1, count):
        for name in in_turn(list(kernels), number):
            begin = time.perf_counter()
            inside, wall = json.loads(kernels[name].ask(code, _SPENT))
            outside = (time.perf_counter() - begin) * 1e3
            if number >= 0:  # the first round warms caches and fonts
                for part, value in zip(_TITLES, (inside, wall, outside), strict=True):
                    samples.setdefault((name, part), []).append(value)
    return samples


def _figure(what: str, part: str, samples: dict[tuple[str, str], list[float]]) -> Figure:
    def series(name: str) -> Series:
        values: Sequence[float] = samples[name, part]
        return Series(name, list(values))

    unit = "ms CPU" if part == "inside" else "ms"
    return Figure(
        f"overhead/{what}/{part}", f"{what}: {_TITLES[part]}", unit, series("ours"), series("ipykernel")
    )
