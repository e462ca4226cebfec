"""Every program gives the same when its session moves to a fresh process after every cell."""

import re
from pathlib import Path

import pytest

from fixtures.state_lab import Answer, Bench, Sitting
from worker.state.programs import read, sections

PROGRAMS = {
    f"{section}: {name}": cells
    for section in sections()
    if section not in ("lost", "differs")
    for name, cells in read(section).items()
}


def run_all(bench: Bench, folder: Path, cells: list[str], moving: bool) -> list[Answer]:
    place = folder / ("moving" if moving else "staying")
    place.mkdir()
    sitting = Sitting(bench, place)
    answers = []
    for cell in cells:
        answers.append(sitting.run(cell))
        assert not sitting.lost
        if moving:
            sitting.move()
    sitting.move()
    return answers


def run_both(bench: Bench, folder: Path, name: str) -> tuple[list[Answer], list[Answer]]:
    """A program in a session that stays, and in one that moves after every cell."""
    cells = PROGRAMS[name]
    for needed in re.findall(r"^# needs (\w+)", cells[0], re.M):
        pytest.importorskip(needed)
    stayed = run_all(bench, folder, cells, moving=False)
    moved = run_all(bench, folder, cells, moving=True)
    assert [answer.text for answer in moved] == [answer.text for answer in stayed]
    return stayed, moved


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_moved_after_every_cell(bench: Bench, tmp_path: Path, name: str) -> None:
    stayed, moved = run_both(bench, tmp_path, name)
    assert [answer.traceback.splitlines()[-8:] for answer in moved] == [
        answer.traceback.splitlines()[-8:] for answer in stayed
    ]
    assert not any("AssertionError" in answer.text for answer in stayed)
    assert not any(answer.done["pinned"] for answer in moved)
