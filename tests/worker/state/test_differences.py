"""Where a moved session is known to differ from one that stayed, and what a user then sees."""

from pathlib import Path

import pytest

from fixtures.state_lab import Bench, Sitting
from worker.state.programs import read

DIFFERENCES = read("differs")


@pytest.mark.parametrize("name", DIFFERENCES)
def test_known_difference(bench: Bench, tmp_path: Path, name: str) -> None:
    first, second, shown = DIFFERENCES[name]
    staying, moving = Sitting(bench, tmp_path), Sitting(bench, tmp_path)
    staying.run(first)
    moving.run(first)
    moving.move()
    found = moving.run(second).text.strip()
    assert found == shown
    assert staying.run(second).text.strip() != shown
    staying.move()
    moving.move()
