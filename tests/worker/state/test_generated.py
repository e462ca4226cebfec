"""Generated programs: moved after every cell, a namespace stays equal in value and in sharing.

`STATE_PROGRAMS=2000 pytest tests/worker/state/test_generated.py` tries more of them.
"""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.state_lab import Bench, Sitting

COUNT = int(os.environ.get("STATE_PROGRAMS", "15"))

PRELUDE = """
import numpy as np, functools, types
class Node:
    made = 0
    def __init__(self, v): self.v = v; Node.made += 1
    def grow(self, x): self.kids = getattr(self, "kids", []); self.kids.append(x); return self
class Slotted:
    __slots__ = ("l", "r")
def counter(start):
    n = [start]; m = start
    def inc(by=1, seen=[]):
        nonlocal m
        m += by; n.append(m); seen.append(by); return m
    def get(): return (m, list(n))
    return inc, get
def touch(x):
    global total
    total = total + 1
    return x
def holder(x):
    def read(): return x
    return read
total = 0
"""

# Walks everything that is reachable from the variables, and writes it down with numbers for identities.
FINGERPRINT = """
def _fingerprint(ns):
    import numpy as np, types
    seen, out = {}, []
    def walk(x):
        if x is None or type(x) in (int, float, str, bool, bytes):
            out.append(repr(x)); return
        if id(x) in seen:
            out.append(f"#{seen[id(x)]}"); return
        seen[id(x)] = len(seen); keep.append(x)
        out.append(f"{len(seen) - 1}:{type(x).__name__}(")
        if type(x) in (list, tuple):
            for i in x: walk(i)
        elif type(x) is dict:
            for k, v in x.items(): walk(k); walk(v)
        elif type(x) is set:
            for i in sorted(x, key=repr): walk(i)
        elif type(x) is np.ndarray:
            root = x
            while root.base is not None: root = root.base
            out.append(f"{x.tolist()} {x.strides} {x.dtype} {x.flags.writeable}")
            if root is not x: walk(root)
        elif isinstance(x, types.FunctionType):
            out.append(x.__qualname__); out.append(str(x.__globals__ is globals()))
            walk(x.__defaults__)
            for c in x.__closure__ or ():
                if id(c) in seen: out.append(f"#{seen[id(c)]}"); continue
                seen[id(c)] = len(seen); keep.append(c); walk(c.cell_contents)
            walk(vars(x))
        elif isinstance(x, types.MethodType): walk(x.__self__); walk(x.__func__)
        elif isinstance(x, functools.partial): walk(x.func); walk(x.args)
        elif isinstance(x, type):
            out.append(x.__qualname__)
            if x.__module__ == "__main__":
                for k, v in vars(x).items():
                    if not k.startswith("__"): out.append(k); walk(v)
        elif hasattr(x, "__slots__"):
            for k in x.__slots__:
                if hasattr(x, k): out.append(k); walk(getattr(x, k))
            walk(type(x))
        elif hasattr(x, "__dict__"): walk(vars(x)); walk(type(x))
        out.append(")")
    keep = []
    for name in sorted(ns):
        if not name.startswith("_") and name not in ("In", "Out", "get_ipython", "exit", "quit", "open"):
            if not isinstance(ns[name], types.ModuleType): out.append(name); walk(ns[name])
    return " ".join(out)
"""

NAMES = st.sampled_from(list("abcdef"))
ATOMS = st.sampled_from(["0", "1", "'s'", "None", "2.5", "10**20", "b'x'"])
VALUES = st.one_of(
    ATOMS,
    st.builds("[{0}, {1}]".format, NAMES, ATOMS),
    st.builds("{{'k': {0}, 'l': {1}}}".format, NAMES, NAMES),
    st.builds("({0}, [{1}])".format, NAMES, NAMES),
    st.builds("{{1, {0}}}".format, ATOMS),
    st.builds("Node({0})".format, NAMES),
    st.builds("counter({0})[0]".format, st.integers(0, 3)),
    st.builds("holder({0})".format, NAMES),
    st.builds("functools.partial(touch, {0})".format, NAMES),
    st.builds("Node({0}).grow".format, NAMES),
    st.builds("lambda x={0}: (x, total)".format, NAMES),
    st.builds("np.arange({0}.)".format, st.integers(0, 8)),
    st.just("np.arange(12).reshape(3, 4).T"),
    st.just("np.array([None, [1], 'o'], dtype=object)"),
    st.just("np.zeros(5000)"),
    st.builds("type('K{0}', (Node,), {{'w': {1}}})({1})".format, st.integers(0, 3), NAMES),
)
STEPS = st.one_of(
    st.builds("{0} = {1}".format, NAMES, VALUES),
    st.builds("{0} = {1}".format, NAMES, NAMES),
    st.builds("{0}, {1} = {1}, {0}".format, NAMES, NAMES),
    st.builds("{0} = {1}[1:]".format, NAMES, NAMES),
    st.builds("{0} = {1}[::-1]".format, NAMES, NAMES),
    st.builds("{0}.append({1})".format, NAMES, NAMES),
    st.builds("{0}['n'] = {1}".format, NAMES, NAMES),
    st.builds("{0}.v = {1}".format, NAMES, NAMES),
    st.builds("{0}.grow({1})".format, NAMES, NAMES),
    st.builds("{0}[0] = 7".format, NAMES),
    st.builds("{0} += {0}".format, NAMES),
    st.builds("{0}()".format, NAMES),
    st.builds("{0}(2)".format, NAMES),
    st.builds("touch({0})".format, NAMES),
    st.builds("d, e = counter({0})".format, st.integers(0, 2)),
    st.builds("f = Slotted(); f.l = {0}; f.r = f".format, NAMES),
    st.builds("{0}.self = {0}".format, NAMES),
    st.builds("Node.made = {0}".format, NAMES),
    st.builds("Node.extra = lambda s: {0}".format, NAMES),
    st.builds("{0}.append({1}); 1/0; {0}.clear()".format, NAMES, NAMES),
    st.builds("globals().get('{0}').append(5)".format, NAMES),
    st.builds("exec('{0} = [{1}]')".format, NAMES, NAMES),
    st.builds("class A:\n    held = {0}\n{1} = A()".format, NAMES, NAMES),
    st.builds("del {0}; {0} = 0".format, NAMES),
)
PROGRAMS = st.lists(st.lists(STEPS, min_size=1, max_size=3), min_size=2, max_size=6)


def guarded(steps: list[str]) -> str:
    lines = [f"try: exec({step!r})\nexcept Exception as error: print(type(error).__name__)" for step in steps]
    return "\n".join(lines) + "\nprint(_fingerprint(globals()))"


@pytest.mark.timeout(0)
@settings(
    max_examples=COUNT,
    deadline=None,
    derandomize="STATE_PROGRAMS" not in os.environ,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(program=PROGRAMS)
def test_generated_program_moved_after_every_cell(
    bench: Bench, tmp_path: Path, program: list[list[str]]
) -> None:
    start = PRELUDE + FINGERPRINT + "a, b, c, d, e, f = [], {}, Node(1), 0, np.arange(6.), 's'"
    staying, moving = Sitting(bench, tmp_path), Sitting(bench, tmp_path)
    staying.run(start)
    moving.run(start)
    try:
        for steps in program:
            moving.move()
            cell = guarded(steps)
            expected, found = staying.run(cell), moving.run(cell)
            assert found.text == expected.text
            assert expected.error is None and not found.done["pinned"] and not moving.lost
    finally:
        staying.move()
        moving.move()
