"""What this runtime is: its description, its libraries' threads, and the last touches before the freeze."""

import importlib
import importlib.util
import os
import platform
import sys
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def describe(preloaded: list[str]) -> dict[str, Any]:
    """The runtime's facts: what must match for a namespace to be loadable here."""
    packages = sorted({name.split(".")[0] for name in preloaded} | {"ipykernel", "ipython"})
    magic = importlib.util.MAGIC_NUMBER.hex()
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "magic": magic,
        "machine": platform.machine(),
        "image": os.environ.get("SERVERLESS_IMAGE", "local"),
        "preload": preloaded,
        "packages": {name: found for name in packages if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def foreign_threads(allowed: Collection[str]) -> list[str]:
    """Names of this process's threads besides the main one and the allowed: forking with them is unsafe.

    OpenBLAS ends its threads itself just before a fork (`pthread_atfork`), so its workers, which carry the
    name of the process, do not count.
    """
    own = Path("/proc/self/comm").read_text()
    names = [(task / "comm").read_text() for task in Path("/proc/self/task").iterdir()]
    return [name.strip() for name in names if name != own and name.strip() not in allowed]


def settle(app: Any) -> None:
    """Do once in the zygote what the first cell of every worker would otherwise do."""
    shell = app.shell
    if "matplotlib.pyplot" in sys.modules:
        from matplotlib_inline.backend_inline import _enable_matplotlib_integration

        _enable_matplotlib_integration()
    for cell in ("1", "1/0"):  # the second one loads what formats tracebacks
        shell.run_cell(cell, store_history=False, silent=True)
    importlib.import_module("IPython.core.logger")  # the first cell that is stored asks for it
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        vars(sys).pop(name, None)
    shell.Completer.completions("pri", 3)
