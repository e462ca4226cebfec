"""Kishu on a plain shell: run by the interpreter of Kishu's own environment, not by ours.

    python -m benchmarks.state.kishu_side    a JSON object in, one out

A commit is what Kishu does in its two hooks around a cell; what its tracking costs the cell itself is not
counted. Its test mode only keeps it from talking to a notebook front end that is not there.
"""

import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def main() -> None:
    """Run the cells of standard input, each with its commit."""
    order = json.load(sys.stdin)
    with tempfile.TemporaryDirectory(prefix="kishu-") as home:
        os.environ |= {"KISHU_PATH_ROOT": home, "ENV_KISHU_TEST_MODE": "1", "HOME": home, "IPYTHONDIR": home}
        kishu = _Kishu(Path(home))
        kishu.run(order["libraries"] or "pass")
        kishu.run(order.get("before", "pass"))
        samples = {"first": [kishu.run(order["code"])]}
        for number in range(order["changes"]):
            for key, code in order["cells"]:
                samples.setdefault(key, []).append(kishu.run(code.replace("{n}", str(number))))
    print(json.dumps(_columns(samples)))


def _columns(samples: Mapping[str, list[tuple[float, float]]]) -> dict[str, list[float]]:
    columns = {}
    for key, pairs in samples.items():
        columns[f"{key} cpu"] = [cpu for cpu, _ in pairs]
        columns[f"{key} wall"] = [wall for _, wall in pairs]
    return columns


class _Kishu:
    def __init__(self, home: Path) -> None:
        from IPython.core.history import HistoryManager
        from IPython.core.interactiveshell import InteractiveShell
        from kishu.jupyterint import KishuForJupyter
        from kishu.notebook_id import NotebookId

        notebook = home / "notebook.ipynb"
        notebook.write_text(json.dumps(_NOTEBOOK))
        HistoryManager.hist_file.default_value = ":memory:"
        self._shell: Any = InteractiveShell.instance()
        self._hooks: Any = KishuForJupyter(NotebookId("notebook", notebook, "kernel"), self._shell)
        self._spent = [0.0, 0.0]
        self._hooked = 0
        for event in ("pre_run_cell", "post_run_cell"):
            self._shell.events.register(event, self._timed(getattr(self._hooks, event)))

    def run(self, code: str) -> tuple[float, float]:
        """CPU and wall of the commit, in milliseconds."""
        gc.collect()
        gc.disable()
        self._spent, self._hooked = [0.0, 0.0], 0
        result = self._shell.run_cell(code, store_history=True)
        gc.enable()
        result.raise_error()
        if self._hooked != 2:  # the shell prints what a hook raises, and goes on
            raise RuntimeError("Kishu did not commit")
        return self._spent[0], self._spent[1]

    def _timed(self, hook: Any) -> Any:
        def timed(subject: Any) -> None:
            cpu, wall = time.process_time(), time.perf_counter()
            hook(subject)
            self._spent[0] += (time.process_time() - cpu) * 1e3
            self._spent[1] += (time.perf_counter() - wall) * 1e3
            self._hooked += 1

        return timed


if __name__ == "__main__":
    main()
