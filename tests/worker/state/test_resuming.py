"""What a notebook can say of its own: cells for after a move, and ways for objects of a type."""

from pathlib import Path

from fixtures.state_lab import Bench, Sitting

CONNECT = """%%on_resume db
import sqlite3
con = sqlite3.connect("data.db"); tries.append(1)
print("connected", len(tries))"""


def test_a_cell_is_run_again_after_a_move_and_before_the_next_cell(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run("tries = []")
    assert sitting.run(CONNECT).text == "connected 1\n"
    sitting.run("con.execute('create table t (v)'); con.execute('insert into t values (5)'); con.commit()")
    assert sitting.run("print(len(tries))").text == "1\n"
    sitting.move()
    assert sitting.run("print(con.execute('select v from t').fetchone())").text == "connected 2\n(5,)\n"
    assert sitting.run("print(len(tries), get_ipython().execution_count)").text == "2 7\n"
    sitting.move()
    assert sitting.run("1").text == "connected 3\n<1>"


def test_cells_for_after_a_move_are_listed_replaced_and_forgotten(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run("%%on_resume one\nprint(1)")
    sitting.run("%%on_resume two\nprint(2)")
    sitting.run("%%on_resume one\nprint('uno')")
    assert sitting.run("%on_resume").text == "# one\nprint('uno')\n# two\nprint(2)\n"
    sitting.move()
    assert sitting.run("3").text == "uno\n2\n<3>"
    sitting.run("%on_resume -d one")
    sitting.move()
    assert sitting.run("3").text == "2\n<3>"
    sitting.run("%on_resume -d")
    sitting.move()
    assert sitting.run("3").text == "<3>"
    assert sitting.run("%on_resume what").text.startswith("usage: %%on_resume")


def test_a_cell_that_fails_after_a_move_says_so_and_the_next_one_runs(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run("there = 1")
    sitting.run("%%on_resume\nthere")
    sitting.run("del there; keep = 2")
    sitting.move()
    answer = sitting.run("print(keep)")
    assert "NameError" in answer.text and answer.text.endswith("2\n")


def test_a_type_travels_as_its_owner_says(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run(
        "import sqlite3\nfrom kernel_broker.worker.notebook import StateLost, register_restore\n"
        "def back(script):\n    made = sqlite3.connect(':memory:'); made.executescript(script); return made\n"
        "register_restore(sqlite3.Connection, lambda con: '\\n'.join(con.iterdump()), back)\n"
        "con = sqlite3.connect(':memory:')\n"
        "_ = con.executescript('create table t (v); insert into t values (5)')\n"
        "held = [con]; gen = (i for i in 'ab')"
    )
    for expected in ("[(5,)]", "[(5,), (6,)]"):
        sitting.move()
        found = sitting.run("print(con.execute('select v from t').fetchall(), held[0] is con)")
        assert found.text == f"{expected} True\n"
        sitting.run("_ = con.executescript('insert into t values (6)')")
    caught = sitting.run("try: next(gen)\nexcept StateLost as e: print(e)").text
    assert caught == (
        "'gen': generator made in cell [1] lives only in the process that made it; re-run cell 1\n"
    )
