"""The namespaces and cells that are measured; plain text, so that every subject runs the same.

Nothing here is imported by what it runs in: this module must load without any library.
"""

from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True, slots=True)
class Namespace:
    """What a user has before the commit that is measured."""

    title: str
    libraries: str
    """Run (and committed) first: preloaded libraries are nobody's first commit."""
    code: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell, run again and again; `{n}` is the number of the run, so that each changes something."""

    key: str
    code: str


_SMALL = "\n".join(f"i{n} = {n * 1000}; s{n} = 'text {n}'; l{n} = [{n}, {n + 1}]" for n in range(67)) + "\n"

_CLOSURE_AND_CLASS = """
def make#(k):
    n = [k]
    def inc(d=1):
        n.append(d)
        return k
    return inc
f# = make#(#)
class C#:
    z = #
    def go(self, x): return self.z + x
    @property
    def p(self): return self
o# = C#()
"""
_CLOSURES = "".join(_CLOSURE_AND_CLASS.replace("#", str(n)) for n in range(25))

_BIG = """
rng = np.random.default_rng(1)
A = rng.random({array})
B0, B1, B2, B3, B4 = (rng.random({array}) for _ in range(5))
DF = pd.DataFrame(rng.random(({rows}, 14)), columns=list('abcdefghijklmn'))
DF2 = pd.DataFrame(rng.random(({rows}, 32)))
DF3 = pd.DataFrame({{'x': rng.random({rows}), 'y': rng.integers(0, 9, {rows})}})
L = list(range({items}))
D = {{f'key{{i}}': f'value {{i}}' for i in range({items} // 10)}}
cnt = 0
def bump():
    global cnt
    cnt += L[3] % 7 + 1
class Acc:
    total = 0
    def __init__(self): self.seen = []
    def add(self, x):
        self.seen.append(x)
        Acc.total += x
acc = Acc()
"""

CELLS = (
    Cell("pass", "pass"),
    Cell("cnt", "cnt = cnt + 1"),
    Cell("acc", "acc.add(1)"),
    Cell("bump", "bump()"),
    Cell("list item", "L[5] += 1"),
    Cell("dict item", "D['key5'] = 'changed {n}'"),
    Cell("array item", "A[7] += 1"),
    Cell("array mean", "m = A.mean()"),
    Cell("frame item", "DF.iat[3, 2] = {n}.5"),
    Cell("frame head", "desc = DF.head()"),
)
"""The cells whose commits are measured beside much data; those of the design notes."""

SMALL_CHANGE = Cell("cnt", "cnt = {n}")
PREPARE_SMALL_CHANGE = "cnt = 0"

_NUMPY_PANDAS = "import numpy as np, pandas as pd"


def big(megabytes: int) -> Namespace:
    """So much: three fifths arrays, the rest frames; a long list, a dict, functions, small variables."""
    array, rows = megabytes * 100_000 // 8, megabytes * 1000
    items = min(1_000_000, max(1000, megabytes * 1000))
    code = _SMALL + _BIG.format(array=array, rows=rows, items=items)
    return Namespace(f"{megabytes} MB: arrays, frames, a list, a dict, small", _NUMPY_PANDAS, code)


def namespaces(scale: float, letters: str = "abcdefg") -> dict[str, Namespace]:
    """By letter; `scale` 1 is what the targets speak of."""

    def n(count: int) -> int:
        return max(10, int(count * scale))

    found = {
        "a": Namespace("200 small variables", "", _SMALL),
        "b": Namespace(
            "a list of 1e6 ints, a dict of 1e5 strings",
            "",
            f"L = list(range({n(1_000_000)}))\n"
            f"D = {{f'key{{i}}': f'value {{i}}' for i in range({n(100_000)})}}",
        ),
        "c": Namespace(
            "100 MB of numpy, 50 MB of pandas",
            _NUMPY_PANDAS,
            f"rng = np.random.default_rng(1)\nA = rng.random({n(12_500_000)})\n"
            f"DF = pd.DataFrame(rng.random(({n(1_041_666)}, 6)), columns=list('abcdef'))",
        ),
        "d": Namespace(
            "a fitted RandomForest of 100 trees",
            "import numpy as np\nfrom sklearn.ensemble import RandomForestClassifier",
            f"X = np.random.default_rng(1).random(({n(2000)}, 10)); y = (X.sum(axis=1) > 5).astype(int)\n"
            "forest = RandomForestClassifier(n_estimators=100, random_state=1).fit(X, y)",
        ),
        "e": Namespace("50 functions and classes with closures", "", _CLOSURES),
        "f": Namespace(
            "a frame of 3e5 strings and categories",
            "import pandas as pd",
            f"T = pd.DataFrame({{'s': [f'name {{i % 5000}}' for i in range({n(300_000)})]}})\n"
            "T['c'] = T['s'].astype('category')",
        ),
        "g": Namespace(
            "1e5 instances of a user's class",
            "",
            "class P:\n    def __init__(s, i): s.x = i; s.y = str(i)\n"
            f"PS = [P(i) for i in range({n(100_000)})]",
        ),
    }
    return {letter: found[letter] for letter in letters if letter != "d" or has_scikit_learn()}


def has_scikit_learn() -> bool:
    """Whether the forest can be grown: the library is in the `bench` extra."""
    return find_spec("sklearn") is not None
