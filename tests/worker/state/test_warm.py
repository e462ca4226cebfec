"""Programs that stay warm until their last cell: what the cells before it changed, unseen, must be there."""

from pathlib import Path

import pytest

from fixtures.state_lab import Bench, Sitting

PROGRAMS = {
    "a function that looks on": (
        "import sys\nl = []\ndef touch(): pass\n"
        "sys.setprofile(lambda frame, event, arg: l.append(1) if frame.f_code is touch.__code__ else None)",
        "touch()",
        "print(set(l))",
        "{1}\n",
    ),
    "a hook of the shell": (
        "l = []\nget_ipython().events.register('post_run_cell', lambda *_: l.append(1))",
        "pass",
        "print(len(l))",
        "2\n",
    ),
    "a number that becomes a list": ("x = 1; y = 2", "x = [x]", "print(x, y)", "[1] 2\n"),
    "a value that is made where the one before was": (
        "x = float('1.5')",
        "x += 1.0; x += 1.0",
        "print(x)",
        "3.5\n",
    ),
    "a list that is made where the one before was": (
        "l = [1]",
        "l = None; l = [2]",
        "print(l)",
        "[2]\n",
    ),
    "a weak reference that calls back": (
        "import weakref\nclass A: pass\na, l = A(), []\nr = weakref.ref(a, lambda _: l.append(1))",
        "del a",
        "print(l, r())",
        "[1] None\n",
    ),
    "defaults that are equal, but not the same": (
        "def f(x=0, *, k=1.0): return x, k\ndef g(x=0.0): return x",
        "f.__defaults__, f.__kwdefaults__ = (False,), {'k': 1}; g.__defaults__ = (-0.0,)",
        "print(f(), g())",
        "(False, 1) -0.0\n",
    ),
    "annotations that come to be shared": (
        "import functools\ndef f(): pass",
        "@functools.wraps(f)\ndef g(): pass",
        "print(g.__annotations__ is f.__annotations__)",
        "True\n",
    ),
    "an annotation that changes": (
        "def f(x: [1]): pass",
        "f.__annotations__['x'].append(2)",
        "print(f.__annotations__)",
        "{'x': [1, 2]}\n",
    ),
    "a bound method of a builtin": ("l = []; add = l.append", "add(3)", "print(l)", "[3]\n"),
    "what repr does": (
        "l = []\nclass A:\n    def __repr__(self): l.append(1); return 'A'\na = A()",
        "a",
        "print(l)",
        "[1]\n",
    ),
    "definitions written again that nobody uses any more": (
        "class A:\n    all = []\n    def __init__(self, v=None): A.all.append(v)\n    @property\n"
        "    def deep(self): return self.v\n"
        "class B(A):\n    def __init_subclass__(cls): B.all.append(cls.__name__)\nb = B(A(1))",
        "class A:\n    @property\n    def deep(self): return self.v\n"
        "class B(A):\n    def __init_subclass__(cls): B.all.append(cls.__name__)",
        "class A:\n    @property\n    def deep(self): return self.v\n"
        "class C:\n    def __getattr__(self, n): return log\nb = C()",
        "print(type(b).__name__, B.__mro__[1] is A)",
        "C False\n",
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_warm_cells_changed_is_there_after_the_move(bench: Bench, tmp_path: Path, name: str) -> None:
    *cells, last, expected = PROGRAMS[name]
    sitting = Sitting(bench, tmp_path)
    for cell in cells:
        assert sitting.run(cell).error is None
    sitting.move()
    assert sitting.run(last).text == expected
    sitting.move()
