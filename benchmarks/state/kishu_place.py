"""An environment of its own for Kishu, which pins what we do not."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

KISHU = "kishu==0.3.4"
_SAME = ("ipython", "dill", "cloudpickle", "numpy", "pandas", "scikit-learn")
"""In our versions, so that both sides dump the same objects."""
_OLD_NEED = "setuptools<81"
"""Kishu imports pkg_resources."""
_PATIENCE = 600.0


def make(home: Path) -> str:
    """Install Kishu in a folder; the interpreter that has it. Raises RuntimeError with pip's own words."""
    python = str(home / "bin/python")
    pins = [pin for name in _SAME if (pin := _pin(name))]
    for command in (
        [sys.executable, "-m", "venv", str(home)],
        [python, "-m", "pip", "install", "-q", KISHU, _OLD_NEED, *pins],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
        if done.returncode:
            raise RuntimeError(f"Kishu cannot be installed: {done.stderr[-500:].strip()}")
    return python


def _pin(name: str) -> str | None:
    try:
        return f"{name}=={version(name)}"
    except PackageNotFoundError:
        return None
