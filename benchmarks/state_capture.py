"""CPU time to save and load a namespace: the state engine beside cloudpickle and dill, in one run.

    python -m benchmarks.state_capture [a b c ...] [--repeat N]

Namespaces are those of the design notes: a 200 small variables; b a list of a million ints and a dict of
100 000 strings; c 100 MB of numpy and 50 MB of pandas; d a forest-like object of many small arrays;
e closures, classes and instances; f a frame of strings; g 100 000 instances of a user's class. Garbage
collection is off for all. The engine's time includes its providers, hashing, and cutting in chunks; the
peers' is `dumps` of the same variables.
"""

import argparse
import gc
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import cloudpickle
import dill
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell

NAMESPACES = {
    "a": """
for i in range(70):
    globals().update({f'i{i}': i, f's{i}': f'text {i}', f'l{i}': [i, i + 1]})
""",
    "b": """
L = list(range(1_000_000)); D = {f'key{i}': f'value {i}' for i in range(100_000)}
""",
    "c": """
import numpy as np, pandas as pd
A = np.random.default_rng(1).random(12_500_000)
DF = pd.DataFrame(np.random.default_rng(2).random((1_000_000, 6)), columns=list('abcdef'))
""",
    "d": """
import numpy as np
class Tree:
    def __init__(s, i): s.left = np.arange(i % 40 + 300); s.value = np.ones((300, 2)); s.seed = i
class Forest:
    def __init__(s): s.trees = [Tree(i) for i in range(100)]; s.params = {'n': 100}
F = Forest()
""",
    "e": """
source = '''
def mk(k):
    n = [k]
    def inc(d=1):
        n.append(d); return k
    return inc
f# = mk(#)
class C#:
    z = #
    def go(s, x): return s.z + x
    @property
    def p(s): return self
o# = C#()
'''
for i in range(25): exec(source.replace('#', str(i)))
""",
    "f": """
import pandas as pd
T = pd.DataFrame({'s': [f'name {i % 5000}' for i in range(300_000)]}); T['c'] = T['s'].astype('category')
""",
    "g": """
class P:
    def __init__(s, i): s.x = i; s.y = str(i)
PS = [P(i) for i in range(100_000)]
""",
}

HEADS = ["name", "MB", "capture", "restore", "same", "1-changed", "bytes"]
HEADS += ["cloudpickle", "load", "ratio", "dill", "load", "ratio"]


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    gc.collect()
    gc.disable()
    start = time.process_time()
    result = work()
    taken = time.process_time() - start
    gc.enable()
    return taken * 1e3, result


def best(work: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    runs = [cpu(work) for _ in range(repeat)]
    return min(taken for taken, _ in runs), runs[-1][1]


def measure(name: str, repeat: int) -> list[str]:
    from kernel_broker.worker.state.engine import StateEngine

    shell = InteractiveShell.instance()
    engine = StateEngine(shell, b"k" * 32)
    shell.run_cell(NAMESPACES[name], store_history=True)
    hidden = set(shell.user_ns_hidden)
    variables = {key: value for key, value in shell.user_ns.items() if key not in hidden and key[:2] != "__"}
    stored: dict[str, bytes] = {}
    capture = lambda: engine.capture(lambda name, data: stored.update({name: bytes(data)}))  # noqa: E731
    first, delta = best(capture, repeat)
    engine.acknowledge()
    again, _ = best(capture, repeat)
    shell.run_cell("small = 1", store_history=True)
    size = (sum(map(len, delta.put.values())) + sum(map(len, stored.values()))) / 1e6
    small, change = cpu(capture)
    entries = dict(delta.put)
    fresh = StateEngine(shell, b"k" * 32)
    load, _ = cpu(lambda: fresh.restore(entries, lambda ids: (stored[name] for name in ids)))
    row = [name, f"{size:.2f}", f"{first:.2f}", f"{load:.2f}", f"{again:.2f}", f"{small:.2f}"]
    row.append(f"{sum(map(len, change.put.values())) + sum(len(stored[name]) for name in change.add):,}")
    for peer in (cloudpickle, dill):
        dump, data = best(lambda peer=peer: peer.dumps(variables), repeat if peer is cloudpickle else 1)
        reload, _ = best(lambda peer=peer, data=data: peer.loads(data), 1)
        row += [f"{dump:.2f}", f"{reload:.2f}", f"{first / dump:.2f}"]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=list(NAMESPACES))
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    if len(options.names) == 1:
        HistoryManager.hist_file.default_value = ":memory:"
        print("  ".join(f"{cell:>10}" for cell in measure(options.names[0], options.repeat)), flush=True)
        return
    print("  ".join(f"{head:>10}" for head in HEADS), flush=True)
    for name in options.names:  # a fresh process each: shells and classes of one must not weigh on the next
        subprocess.run(
            [sys.executable, "-m", "benchmarks.state_capture", name, "--repeat", str(options.repeat)],
            check=True,
        )


if __name__ == "__main__":
    main()
