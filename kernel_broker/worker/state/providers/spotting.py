"""What a cell's source may change in libraries: places it assigns to, deletes, fills or registers with."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from kernel_broker.worker.state.providers.contract import Provider

_WORTH_READING = re.compile(
    r"\.\s*\w+\s*(?:[^\w\s=!<>()\[\]{},.:;'\"]{0,2}=(?!=)|:)|\w\.\w+\s*,|[sl]etattr|\bdel\b|\bas\s+\w+\."
    r"|\.\s*\w+\s*\.\s*(?:append|extend|insert|add|update|setdefault|remove|discard|pop|clear)\b|\.\s*register\b"
)
_HINTS = (".", "etattr", "del", "vars")
"""One of these is in every source that is worth reading."""

_SETS_ITEMS = re.compile(r"\]\s*[^\w\s]{0,2}=(?!=)")
_ITEMS_OF_OTHERS = re.compile(r"\.\s*\w+\s*\[|\bvars\b")
_FILLING = frozenset(
    {"append", "extend", "insert", "add", "update", "setdefault", "remove", "discard", "pop", "clear"}
)


@dataclass
class Spots:
    """Places by the dotted names that lead to them."""

    attributes: dict[tuple[str, ...], None] = field(default_factory=dict)
    """`json.dumps` of `json.dumps = …`, `del json.dumps` or `setattr(json, "dumps", …)`."""

    contents: dict[tuple[str, ...], None] = field(default_factory=dict)
    """`nltk.data.path` of `nltk.data.path.append(…)`, `os.table` of `os.table[…] = 1`."""

    registries: dict[tuple[str, ...], None] = field(default_factory=dict)
    """`Sequence` of `Sequence.register(…)`."""

    wide: dict[tuple[str, ...], None] = field(default_factory=dict)
    """`json` of `setattr(json, name, …)`: any of its attributes may have changed."""

    loose: dict[str, None] = field(default_factory=dict)
    """`dumps` of `module.dumps = …` where `module` is a parameter or the like."""

    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    """What names are bound to by import statements, in functions too: module, and attribute of it or ''."""

    def take(self, places: dict[str, dict[Any, Any]]) -> None:
        """Add the members of others."""
        for name, found in places.items():
            getattr(self, name).update(found)


class Places(Provider):
    """The places that the cells of a shell may change: another process need not read all cells again."""

    name = "places"

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self.spots = Spots()
        self._read = 1
        self._value: dict[str, dict[Any, Any]] | None = None
        _of_shells[shell] = self

    def read(self) -> None:
        """Take in the cells that ran since the last time."""
        cells = self.shell.history_manager.input_hist_parsed
        if len(cells) < self._read:
            self._read = 1  # the history was cleared
        fresh = [places for source in cells[self._read :] if any((places := vars(spot(source))).values())]
        self._read = len(cells)
        for places in fresh:
            self.spots.take(places)
        if fresh:
            self._value = {kind: dict(found) for kind, found in vars(self.spots).items() if found}

    def collect(self) -> Any:
        """Places by kind, the same object until a cell adds some."""
        self.read()
        return self._value

    def apply(self, value: dict[str, dict[Any, Any]]) -> None:
        """Know them: they are those of all cells in the history."""
        self.spots.take(value)
        self._value = value
        self._read = len(self.shell.history_manager.input_hist_parsed)


_of_shells: "WeakKeyDictionary[Any, Places]" = WeakKeyDictionary()


def places_of(shell: Any) -> Places:
    """Those of a shell."""
    return _of_shells[shell]


def spot(source: str) -> Spots:
    """The places in one cell."""
    found = Spots()
    if not _is_worth_reading(source):
        return found
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if not isinstance(node.ctx, ast.Load):
                _note_attribute(found, node.value, node.attr)
        elif isinstance(node, ast.Subscript):
            if not isinstance(node.ctx, ast.Load):
                _note_item(found, node.value)
        elif isinstance(node, ast.Call):
            _note_call(found, node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.imports.update(_bindings(node))
    return found


def _is_worth_reading(source: str) -> bool:
    if "import" in source:
        return True
    if not any(word in source for word in _HINTS):
        return False
    if _WORTH_READING.search(source):
        return True
    return _SETS_ITEMS.search(source) is not None and _ITEMS_OF_OTHERS.search(source) is not None


def _chain(node: ast.expr) -> tuple[str, ...] | None:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else None


def _note_attribute(found: Spots, owner: ast.expr, name: str) -> None:
    chain = _chain(owner)
    if chain is not None and chain[0] not in ("self", "cls"):
        found.attributes[(*chain, name)] = None
        if len(chain) == 1:
            found.loose[name] = None


def _note_item(found: Spots, owner: ast.expr) -> None:
    chain = _chain(owner)
    if chain is not None and chain[-1] == "__dict__":
        found.wide[chain[:-1]] = None
    elif chain is not None and len(chain) > 1:
        found.contents[chain] = None
    elif isinstance(owner, ast.Call) and isinstance(owner.func, ast.Name) and owner.func.id == "vars":
        for argument in owner.args:
            if (target := _chain(argument)) is not None:
                found.wide[target] = None


def _note_call(found: Spots, call: ast.Call) -> None:
    chain = _chain(call.func)
    if chain in (("setattr",), ("delattr",)) and len(call.args) >= 2:
        owner, name = _chain(call.args[0]), call.args[1]
        if owner is None or owner[0] in ("self", "cls"):
            return
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            _note_attribute(found, call.args[0], name.value)
        else:
            found.wide[owner] = None
    elif chain is not None and len(chain) > 2 and chain[-1] in _FILLING:
        found.contents[chain[:-1]] = None
    elif chain is not None and len(chain) > 1 and chain[-1] == "register":
        found.registries[chain[:-1]] = None


def _bindings(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, tuple[str, str]]]:
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            if node.module is not None and not node.level and alias.name != "*":
                yield alias.asname or alias.name, (node.module, alias.name)
        elif alias.asname:
            yield alias.asname, (alias.name, "")
        else:
            yield alias.name.partition(".")[0], (alias.name.partition(".")[0], "")
