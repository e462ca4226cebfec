"""A slider made before a move answers its front end after it, and the front end hears nothing of the move."""

from pathlib import Path

from fixtures.state_lab import Bench, Sitting

MAKE = "import ipywidgets as w; seen=[]; s=w.IntSlider(3, max=10)\n"
MAKE += "s.observe(lambda c: seen.append(c.new), 'value'); s"


def update(sitting: Sitting, comm_id: str, value: int) -> list[str]:
    data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
    answer = sitting.request("comm_msg", {"comm_id": comm_id, "data": data})
    assert answer.done["commit"] is not None
    return [kind for kind, _ in answer.messages if kind != "status"]


def test_slider_works_after_a_move(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    made = sitting.run(MAKE)
    opened = {kind for kind, _ in made.messages}
    assert "comm_open" in opened
    comm_id = sitting.run("print(s.model_id)").text.strip()
    stayed = update(sitting, comm_id, 4)
    sitting.move()
    assert update(sitting, comm_id, 5) == stayed
    sitting.move()
    after = sitting.run("print(s.value, seen); s.value = 7")
    assert after.text == "5 [4, 5]\n"
    kinds = [kind for kind, _ in after.messages]
    assert "comm_msg" in kinds and "comm_open" not in kinds and "comm_close" not in kinds
    assert comm_id in after.done["comms"]


def test_closing_after_a_move_reaches_the_front_end(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run(MAKE)
    sitting.move()
    closed = sitting.run("s.close()")
    assert "comm_close" in [kind for kind, _ in closed.messages]
    sitting.move()
    assert sitting.run("print(s.comm, len(w.widgets.widget._instances))").text.startswith("None")


def test_comm_that_fails_to_load_is_not_closed(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run("class A:\n    def __init__(s): s.v=1\n    def __setstate__(s, d): raise KeyError('bad')\n")
    sitting.run(MAKE + "\na=A()")
    sitting.move()
    after = sitting.run("s.value=9; print(seen)")
    assert after.text == "[9]\n"
    assert "comm_close" not in [kind for kind, _ in after.messages + sitting.arrival]
