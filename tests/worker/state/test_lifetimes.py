"""What nothing of the user's holds ends when it would without an engine, and nothing is made twice."""

from pathlib import Path

import pytest

from fixtures.state_lab import Bench, Sitting

PROGRAMS = {
    "a class that is replaced": (
        "import gc, weakref\nclass A: pass\nr = weakref.ref(A)",
        "class A: pass",
        "gc.collect(); print(r())",
        "None\n",
    ),
    "a function that is replaced": (
        "import weakref\ndef f(): pass\nr = weakref.ref(f)",
        "def f(): pass\nprint(r())",
        "None\n",
    ),
    "a class whose instances cannot be saved": (
        "import gc, weakref\nclass A:\n    def __reduce__(self): raise ValueError\n"
        "a, r = A(), weakref.ref(A)",
        "del A, a",
        "gc.collect(); print(r())",
        "None\n",
    ),
    "what was there when an exception was brought back": (
        "import weakref\nclass A: pass\na = A(); known = weakref.WeakValueDictionary(k=a)\n"
        "try: 1/0\nexcept ZeroDivisionError as e: error = e",
        "del a; print(len(known), error.__traceback__.tb_lineno)",
        "0 4\n",
    ),
    "an object stored with a class that is asked for first": (
        "import gc\nclass Queue:\n    def __init__(self, to): self.run = [self.one, lambda: to]\n"
        "    def one(self): pass\nlog = []\nclass Noisy:\n    def __del__(self): log.append('end')\n"
        "n = Noisy(); items = [n]; q = Queue(items)",
        "gc.collect(); print(log, q.run[1]() is items)",
        "[] True\n",
    ),
    "definitions made again where the former ones were": (
        "".join(f"def f{n}(): return 'old'\n" for n in range(20)),
        "\n".join(f"def f{n}(): return 'newer'\ndef f{n}(): return 'new'" for n in range(20)),
        "print({globals()[f'f{n}']() for n in range(20)})",
        "{'new'}\n",
    ),
    "what a view of objects is a view of": (
        "import numpy\na = numpy.array([None, [1], 'o'], dtype=object); v = a[1:]",
        "v.base[0] = 8; print(a[0], v.base is a, v[0] is a[1])",
        "8 True True\n",
    ),
}


@pytest.mark.parametrize("moved", [False, True], ids=["warm", "moved"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_lifetimes_are_the_programs_own(bench: Bench, tmp_path: Path, name: str, moved: bool) -> None:
    *cells, last, expected = PROGRAMS[name]
    sitting = Sitting(bench, tmp_path)
    for cell in cells:
        assert sitting.run(cell).error is None
        if moved:
            sitting.move()
    assert sitting.run(last).text == expected
