"""What a shape says of single objects: atoms, iterators at their end, code, memory that arrays look at."""

import hashlib
import itertools
import re
import types
from typing import Any

import numpy as np

ATOMS = (type(None), bool, int, float, complex, str, bytes, type(...), range, slice)
ADDRESS = re.compile(r" at 0x[0-9a-f]+")
MAY_BE_SPENT = frozenset(
    map(type, (iter(int, 1), iter([]), iter(()), reversed([]), iter(""), itertools.chain()))
)


def is_atom(x: Any) -> bool:
    """Whether nobody can tell it from an equal one, but by asking for its identity."""
    return type(x) in ATOMS or (type(x) is tuple and all(type(item) in ATOMS for item in x))


def is_spent(x: Any) -> bool:
    """Whether it is an iterator at its end, which has let go of what it went through."""
    if type(x) is itertools.chain:
        return all(map(is_spent, x.__reduce__()[2:][0])) if x.__reduce__()[2:] else x.__reduce__()[1] == ()
    return type(x) in MAY_BE_SPENT and x.__reduce__()[1] in (([],), ((),), ("",))


def proxied(x: Any) -> Any:
    try:
        return x.__repr__.__self__
    except ReferenceError:
        return "nothing"


def root_of(x: np.ndarray) -> Any:
    """The array whose memory it looks at; a stand-in is between it and what `as_strided` made of it."""
    while True:
        base = x.base.base if type(x.base).__name__ == "DummyArray" else x.base
        if not isinstance(base, np.ndarray):
            return x
        x = base


def digest(x: np.ndarray) -> str:
    return hashlib.blake2b(np.ascontiguousarray(x).tobytes(), digest_size=12).hexdigest()


def digest_of(code: types.CodeType) -> str:
    """Of what a code object does."""
    if id(code) not in _digests:
        _digests[id(code)] = (code, _digest_of(code))
    return _digests[id(code)][1]


_digests: dict[int, tuple[types.CodeType, str]] = {}


def _digest_of(code: types.CodeType) -> str:
    text = [f"{code.co_names} {code.co_varnames} {code.co_code.hex()}"]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            text.append(digest_of(constant))
        else:
            text.append(repr(sorted(constant, key=repr) if type(constant) is frozenset else constant))
    return hashlib.blake2b(" ".join(text).encode(), digest_size=9).hexdigest()
