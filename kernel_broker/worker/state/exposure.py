"""Which objects of a dump something outside it may refer to: only these can be shared with another one."""

import gc
import sys
import types
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from kernel_broker.worker.state.graph import Dumped, Root

_OURS = 2
"""References to the value of every root: from the list of all values, and from the root."""

_READ = 2**17
"""A stream up to this size is worth counting the references in what it was made of."""

_HELD = ("v:", "o:", "n:")
"""Labels of what something keeps: the namespace, Out, the engine."""

_BY_NAME = (type, types.FunctionType, types.ModuleType, types.BuiltinFunctionType)
"""Types of objects that may be in a dump by name alone: what they refer to is not theirs only."""


def exposed(
    roots: Sequence[Root], dumped: Dumped, seeds: Collection[int], immaterial: Collection[type]
) -> dict[int, Any]:
    """The objects with more references than those from within, by id.

    An object of two dumps, however it got there, is held by the memo of the other one's pickler.
    From within are those of objects of the dump to each other (unless it is large), the engine's own, and
    that of what keeps a root. A doubt counts as one from outside. `seeds` are ids of what is in every dump;
    objects of `immaterial` types, which refer to nothing else, are left out.
    """
    probe = [0]
    memo = dumped.memo()
    memo[id(probe)] = (0, probe)
    objects = [item for key, (_, item) in memo.items() if type(item) not in immaterial and key not in seeds]
    inside: Counter[int] = Counter()
    if len(dumped.stream) <= _READ:
        inside.update(map(id, gc.get_referents(*_holders(roots, dumped, objects))))
    for root in roots:
        inside[id(root.value)] += _OURS + root.label.startswith(_HELD)
    counts = list(map(sys.getrefcount, objects))
    unavoidable = counts[-1] - 1 + 1  # the probe's, less its name here, and one of the pickler's memo
    found = {
        id(item): item
        for item, count in zip(objects, counts, strict=True)
        if count > unavoidable + inside[id(item)]
    }
    found.pop(id(probe), None)
    return found


def _holders(roots: Sequence[Root], dumped: Dumped, objects: list[Any]) -> Iterator[Any]:
    own = {id(root.value) for root in roots}
    for item in objects:
        if not issubclass(type(item), _BY_NAME):  # a proxy may say anything of its class
            yield item
        elif id(item) in own or (type(item) is types.FunctionType and not dumped.has_by_name(item)):
            yield item
            if issubclass(type(item), type):
                yield from (it for it in gc.get_referents(item) if type(it) is dict)  # its namespace
