"""A library that no zygote had imported leaves nothing behind but what the cell made of it."""

import subprocess
import sys

import pytest

SESSION = """
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell
from kernel_broker.worker.state.engine import StateEngine

HistoryManager.hist_file.default_value = ":memory:"
shell = InteractiveShell.instance()
engine = StateEngine(shell, bytes(32))
shell.run_cell("import {library}", store_history=True).raise_error()
print([(pin.name, pin.reason) for pin in engine.capture(lambda name, data: None).pinned])
"""


@pytest.mark.parametrize("library", ["numpy", "pandas", "matplotlib.pyplot"])
def test_importing_a_library_pins_nothing(library: str) -> None:
    code = SESSION.replace("{library}", library)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
