"""Generated programs: moved, or kept warm, a namespace stays equal in value and in sharing.

`STATE_PROGRAMS=20000 STATE_SEED=7 pytest tests/worker/state/test_generated.py` tries more and others of them,
`STATE_SEED=commit` others with every commit; a failure is printed as the smallest program that has it, with
the command that repeats it.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parent / "generated" / "run.py"
PROGRAMS = os.environ.get("STATE_PROGRAMS", "2000")


def seed() -> str:
    asked = os.environ.get("STATE_SEED", "1")
    if asked != "commit":
        return asked
    commits = ["git", "-C", str(RUN.parent), "rev-list", "--count", "HEAD"]
    return f"commit{subprocess.check_output(commits, text=True).strip()}"


def run(*options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    return subprocess.run(
        ["nice", sys.executable, str(RUN), *options],  # what runs beside it has deadlines, it has none
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(0)
def test_generated_programs() -> None:
    done = run("--programs", PROGRAMS, "--seed", seed(), "--shares", "2")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("blinded", ["change", "alias"])
def test_a_planted_fault_is_found(blinded: str) -> None:
    done = run("--programs", "200", "--seed", seed(), "--plant", blinded, "--failures", "1", "--raw")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "at home" in done.stdout
