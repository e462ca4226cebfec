"""What cannot travel is named where it is made, works until the move, and refuses use after it."""

from pathlib import Path

import pytest

from fixtures.state_lab import Bench, Sitting
from worker.state.programs import read

LOST = read("lost")


@pytest.mark.parametrize("name", LOST)
def test_lost_object_is_named_and_refuses_use(bench: Bench, tmp_path: Path, name: str) -> None:
    making, kind, reason, use = LOST[name]
    variable = "x"
    sitting = Sitting(bench, tmp_path)
    sitting.run("keep=[1]")
    made = sitting.run(making + "\nalso={'it': x, 'n': keep}")
    pins = made.done["pinned"]
    assert pins == [{"name": variable, "type": kind, "reason": reason, "cell": 2}]
    assert len(made.done["notices"]) == 1 and f"'{variable}' ({kind})" in made.done["notices"][0]
    assert not sitting.run("assert also['it'] is x").done["notices"]  # told once
    sitting.move()
    text = f"StateLost: '{variable}': {kind} made in cell [2] {reason}; re-run cell 2"
    assert sitting.run(use).error == text
    assert (
        sitting.run("assert also['it'] is x and also['n'] is keep; keep.append(2); print(keep)").text
        == "[1, 2]\n"
    )
    sitting.move()
    assert sitting.run(use).error == text
    again = sitting.run(making)
    assert [(pin["name"], pin["cell"]) for pin in again.done["pinned"]] == [(variable, 7)]


def test_only_the_leaf_is_lost(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run(
        "import threading\nclass A: pass\na=A(); a.n=[1]\n"
        "a.g=(i for i in 'ab'); d={'a': a, 'l': threading.Lock()}"
    )
    sitting.move()
    assert sitting.run("a.n.append(2); print(d['a'].n, d['l'].locked())").text == "[1, 2] False\n"
    assert sitting.run("list(a.g)").error == (
        "StateLost: 'a': generator made in cell [1] lives only in the process that made it; re-run cell 1"
    )


def test_a_tombstone_can_be_shown_and_kept_but_not_used(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run("g=(i for i in 'ab'); s={g}; d={g: 1}")
    sitting.move()
    lost = "<lost: 'g': generator made in cell [1] lives only in the process that made it; re-run cell 1>"
    assert sitting.run("g").text == f"<{lost}>"
    assert sitting.run("[g]").text == f"<[{lost}]>"
    sitting.run("from kernel_broker.worker.state.tombstone import StateLost\nbad = []")
    sitting.run("def with_(it):\n    with it: pass")
    uses = "g.x|g()|g[0]|g+1|1+g|len(g)|iter(g)|bool(g)|str(g)|g==1|g<1|next(g)|g.x=1|f'{g}'|int(g)|-g|1 in g"
    uses += "|hasattr(g,'x')|with_(g)|class C(g): pass|raise g"
    sitting.run(f"uses = {uses.split('|')!r}")
    trial = "for use in uses:\n    try: exec(use)\n    except StateLost: pass\n"
    trial += "    except TypeError: bad.append(use)\n    else: bad.append(use)\n"
    assert sitting.run(trial + "print(bad, issubclass(StateLost, RuntimeError))").text == "['raise g'] True\n"


def test_hostile_objects_do_no_harm(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run(
        "class Loop:\n    def __reduce__(s): return s.__reduce__()\n"
        "class Exit:\n    def __reduce__(s): raise SystemExit(3)\n"
        "class Odd:\n    def __reduce__(s): return 42\n"
        "class Liar:\n    def __reduce__(s): return 'not_there'\n"
        "class Half:\n    def __reduce__(s): return (list, (), None, (1/0 for _ in 'a'))\n"
        "class Eq:\n    def __eq__(s, o): raise RuntimeError\n    def __hash__(s): raise RuntimeError\n"
        "class Meta(type):\n    def __getattribute__(c, n): raise RuntimeError(n)\n"
        "class Class: \n    __class__ = property(lambda s: 1/0)\n"
    )
    made = sitting.run(
        "good=[1]; a=Loop(); b=Exit(); c=Odd(); d=Liar(); e=Half(); f=Eq(); h=Class(); l=[a, b, good]"
    )
    assert {pin["name"] for pin in made.done["pinned"]} == {"a", "b", "c", "d", "e", "h"}
    sitting.move()
    assert sitting.run("assert l[2] is good; print(good, type(f).__name__)").text == "[1] Eq\n"
    assert sitting.run("b.x").error == (
        "StateLost: 'b': Exit made in cell [2] cannot be saved (SystemExit: 3); re-run cell 2"
    )


@pytest.mark.parametrize(
    "harm",
    [
        "import builtins; del builtins.divmod, builtins.complex",
        "import sys; sys.stdout.close()",
        "import sys; sys.stdout=None; sys.stderr=None",
        "import sys; del sys.modules['pickle'], sys.modules['kernel_broker.worker.state.engine']",
        "import signal; _=signal.signal(signal.SIGINT, signal.SIG_DFL)",
        "import gc; gc.disable()",
        "import sys; sys.setrecursionlimit(120)",
        "del In, Out, get_ipython, _oh, _ih",
        "class Int(int): pass\nIn.append(5)",
        "globals()[3]=4",
        "import copyreg; copyreg.dispatch_table[int]=None; copyreg.dispatch_table[list]=5",
    ],
)
def test_a_cell_that_breaks_its_process_is_still_committed(bench: Bench, tmp_path: Path, harm: str) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run("a=[1]; b=a")
    answer = sitting.run(harm + "\nb.append(2)")
    assert answer.done["commit"] is not None
    sitting.move()
    assert "[1, 2] True" in sitting.run("print(a, a is b)").text


def test_a_class_that_fails_to_load_costs_only_what_is_made_of_it(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    (tmp_path / "needed").touch()
    sitting.run(
        "%%writefile gone.py\nopen('needed')\nclass K:\n    pass\nclass M(type): pass\ndef f(): pass\n"
    )
    sitting.run("import sys; sys.path.insert(0, ''); import gone; k=gone.K(); k.v=1; f=gone.f; l=[1, k]; m=l")
    sitting.run("class Sub(gone.K):\n    x=1\ns=Sub(); d={'s': s, 'l': l}")
    (tmp_path / "needed").unlink()
    sitting.move()
    assert sitting.run("assert m is l is d['l']; print(l[0], sorted(d))").text == "1 ['l', 's']\n"
    assert {pin["name"] for pin in sitting.lost} >= {"gone"}
    for use in ("k.v", "f()", "gone.K", "s.x", "Sub()"):
        assert (sitting.run(use).error or "").startswith("StateLost: '"), use
        assert "No such file or directory: 'needed'" in (sitting.run(use).error or "")


def test_a_function_for_the_end_of_the_process_is_told_once(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    (notice,) = sitting.run("import atexit; atexit.register(print, 5);").done["notices"]
    assert "functions for the end of the process are not called: a session outlives it" in notice
    assert not sitting.run("1").done["notices"] and not sitting.run("1").done["pinned"]


def test_a_setstate_that_fails_costs_only_its_object(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run(
        "class A:\n    def __init__(s): s.v=1\n    def __setstate__(s, d): raise KeyError('bad')\n"
        "a=A(); b=[a, 2]; c=b"
    )
    sitting.move()
    assert sitting.run("b.append(3); print(c[1:], b is c)").text == "[2, 3] True\n"
    error = sitting.run("a.v").error or ""
    assert error.startswith("StateLost: 'a': A could not be brought back (KeyError: 'bad')")
    assert sitting.run("b[0].v").error == error


def test_a_thread_that_never_stops_changing_a_dict(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run("import threading\nclass A:\n    def __reduce__(s): return (A, ())\nd={0: A()}; keep=[1]")
    sitting.run(
        "def work():\n    n=0\n    while True:\n        n+=1; d[n]=A()\n        if n>50: d.clear(); n=0\n"
        "threading.Thread(target=work, daemon=True).start()"
    )
    for _ in range(5):
        assert not sitting.run("keep.append(2)").done["pinned"]
    sitting.move()
    assert sitting.run(
        "print(len(keep), type(d).__name__, {type(v).__name__ for v in d.values()} <= {'A'})"
    ).text == ("6 dict True\n")
