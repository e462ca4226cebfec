"""The user's variables: which names are theirs, and how they come back."""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kernel_broker.worker.state.deferred import StandIn
from kernel_broker.worker.state.providers.history import History

_VARIABLE = "v:"
_RESULT_LABEL = "o:"
SHAPE = "n:namespace"
_RESULT = re.compile(r"_(\d+)")


class Namespace:
    """The variables of one shell, less what IPython itself put among them."""

    def __init__(self, shell: Any, history: History) -> None:
        self._shell = shell
        self._history = history
        hidden = shell.user_ns_hidden
        self._own = {name: value for name, value in shell.user_ns.items() if hidden.get(name, self) is value}
        self._shape: dict[str, Any] = {}
        self._labels = _Labels()
        self._own |= {name: shell.user_ns[name] for name in _MODULE_NAMES if name in shell.user_ns}

    def values(self) -> dict[str, Any]:
        """Every variable of the user's by its label, the results, and the shape of the namespace."""
        present, odd = _parted(self._shell.user_ns.copy())
        results = self._shell.history_manager.output_hist
        own, owned = self._own, self._history.owned(present)
        names = list(itertools.filterfalse(owned.__contains__, present))
        named = dict(zip(names, map(present.__getitem__, names), strict=True))
        label = self._labels.__getitem__
        values = dict(zip(map(label, named), named.values(), strict=True))
        for name in _not_users(named, own, results):
            del values[label(name)]
        values |= {f"{_RESULT_LABEL}{number}": value for number, value in results.items()}
        hidden = self._shell.user_ns_hidden
        shape = {
            "odd": odd,
            "order": list(named),
            "deleted": list(itertools.filterfalse(present.__contains__, (*own, *_LATEST))),
            "hidden": [name for name in filter(named.__contains__, hidden) if hidden[name] is named[name]],
        }
        values[SHAPE] = self._steady(shape)
        return values

    def _steady(self, shape: dict[str, Any]) -> dict[str, Any]:
        """The same object as long as nothing changed in it."""
        if shape["odd"] or shape != self._shape:
            self._shape = shape
        return self._shape

    def restore_results(self, values: Mapping[str, Any]) -> None:
        """Fill Out."""
        found = self._shell.history_manager.output_hist
        found.clear()
        for label, value in values.items():
            if label.startswith(_RESULT_LABEL):
                found[int(label.removeprefix(_RESULT_LABEL))] = value

    def restore(self, values: Mapping[str, Any]) -> None:
        """Put the variables back, in the order they had."""
        shell = self._shell
        start = len(_VARIABLE)
        found: dict[str, Any] = dict(shell.user_ns)
        found |= {f"_{n}": result for n, result in shell.history_manager.output_hist.items()}
        found |= {label[start:]: value for label, value in values.items() if label.startswith(_VARIABLE)}
        shape = values.get(SHAPE) or {"odd": {}, "order": list(found), "deleted": (), "hidden": ()}
        ordered = {name: found[name] for name in shape["order"] if name in found}
        for name, value in shell.user_ns.items():  # what a fresh process has, and the session did not
            if not (name in ordered or name in shape["deleted"] or _RESULT.fullmatch(name)):
                ordered[name] = value
        shell.user_ns.clear()
        shell.user_ns.update(ordered | shape["odd"])
        shell.user_ns_hidden.update({name: ordered[name] for name in shape["hidden"] if name in ordered})


_MODULE_NAMES = (
    "__name__",
    "__doc__",
    "__package__",
    "__loader__",
    "__spec__",
    "__builtin__",
    "__builtins__",
)
"""What every module's namespace has."""


_LATEST = ("_", "__", "___")
"""Results that a fresh shell has, still empty."""


def name_of(label: str) -> str:
    """What a user calls what a label stands for."""
    kind, _, name = label.partition(":")
    return f"Out[{name}]" if kind == "o" else name


def _parted(present: dict[Any, Any]) -> tuple[dict[str, Any], dict[Any, Any]]:
    """Variables by name, and what else is among them: its keys may run code of the user's."""
    if set(map(type, present)) <= {str}:
        return present, {}
    named = {name: value for name, value in present.items() if type(name) is str}
    return named, {name: value for name, value in present.items() if type(name) is not str}


class _Labels(dict[str, str]):
    """The label of each variable: the same strings again and again, as comparing them costs less."""

    def __missing__(self, name: str) -> str:
        label = self[name] = _VARIABLE + name
        return label


def _not_users(named: dict[str, Any], own: Mapping[str, Any], results: Mapping[Any, Any]) -> Iterator[str]:
    """Variables that IPython put there, the `_N` of results, and those that are not loaded yet."""
    for name, value in own.items():
        if named.get(name, own) is value:
            yield name
    for number, value in results.items():
        if named.get(f"_{number}", results) is value:
            yield f"_{number}"
    if StandIn in set(map(type, named.values())):
        yield from (name for name, value in named.items() if type(value) is StandIn)
