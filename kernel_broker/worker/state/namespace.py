"""The user's variables: which names are theirs, and how they come back."""

import re
from collections.abc import Mapping
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
        self._own |= {name: shell.user_ns[name] for name in _MODULE_NAMES if name in shell.user_ns}

    def values(self) -> dict[str, Any]:
        """Every variable of the user's by its label, the results, and the shape of the namespace."""
        present = self._shell.user_ns.copy()
        results = self._shell.history_manager.output_hist
        own = self._own
        named = {
            name: value
            for name, value in present.items()
            if type(name) is str and not (name[:2] == "_i" and self._history.owns(name, value))
        }
        values = {
            _VARIABLE + name: value
            for name, value in named.items()
            if own.get(name, self) is not value
            and type(value) is not StandIn
            and not (name[:1] == "_" and _is_result(name, value, results))
        }
        values |= {f"{_RESULT_LABEL}{number}": value for number, value in results.items()}
        hidden = self._shell.user_ns_hidden
        shape = {
            "odd": {name: value for name, value in present.items() if type(name) is not str},
            "order": list(named),
            "deleted": [name for name in (*own, *_LATEST) if name not in present],
            "hidden": [name for name in hidden if name in named and hidden[name] is named[name]],
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


def _is_result(name: str, value: Any, results: Mapping[Any, Any]) -> bool:
    """Whether a variable is the `_N` of a result."""
    number = _RESULT.fullmatch(name)
    return number is not None and results.get(int(number[1]), results) is value
