"""Work done by processes of their own: an order in, an answer out."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]


def ask(module: str, order: Mapping[str, Any], python: str = sys.executable) -> dict[str, list[float]]:
    """Run `python -m module` on an order; its samples by name."""
    command = [python, "-m", module]
    done = subprocess.run(
        command, input=json.dumps(order), capture_output=True, text=True, cwd=_ROOT, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{module} failed on {order.get('code')!r}:\n{done.stderr[-3000:]}")
    answer: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return answer


class Gathered:
    """Samples of several processes, put together by name."""

    def __init__(self) -> None:
        self.all: dict[str, list[float]] = {}

    def add(self, samples: Mapping[str, list[float]], prefix: str = "") -> None:
        for name, values in samples.items():
            self.all.setdefault(prefix + name, []).extend(values)

    def get(self, name: str) -> list[float] | None:
        return self.all.get(name)
