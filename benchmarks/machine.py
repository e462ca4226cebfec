"""Where and with what a run was made."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

_LIBRARIES = (
    "serverless-ipykernel", "ipykernel", "ipython", "jupyter-client", "pyzmq", "tornado", "fastapi",
    "uvicorn", "uvloop", "httptools", "httpx", "redis", "hiredis", "cloudpickle", "dill", "numpy", "pandas",
    "matplotlib",
)  # fmt: skip
_ROOT = Path(__file__).parent.parent


def describe_machine() -> dict[str, object]:
    """Processor, memory, system, versions, commit; the load at this moment."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_at_start": load(),
        "commit": _commit(),
        "redis_server": _first_line(["redis-server", "--version"]),
        "libraries": {name: found for name in _LIBRARIES if (found := _version(name))},
    }


def load() -> list[float]:
    """The load average of 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """The commit, marked if the product differs from it; None without git."""
    commit = _first_line(["git", "-C", str(_ROOT), "rev-parse", "--short", "HEAD"])
    product = ["kernel_broker", "kernel_manager", "benchmarks", "pyproject.toml"]
    changed = _first_line(["git", "-C", str(_ROOT), "status", "--porcelain", "--", *product])
    return f"{commit} + uncommitted changes" if commit and changed else commit


def _first_line(command: list[str]) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0] or None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
