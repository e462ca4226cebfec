"""What was run: In, the raw inputs, the names and sources of cells. Append-only, so kept in pages."""

import itertools
import linecache
import operator
from collections.abc import Iterator, Mapping
from typing import Any

from kernel_broker.worker.state.providers.contract import Provider

PAGE = 64
_TAIL = 8
"""Cells to a page, and to one of those at the end: only the last page is written again after a cell."""

_RECENT = ("_i", "_ii", "_iii")


class History(Provider):
    """In, `_iN`, `%history`, history requests, tracebacks and sources of old cells."""

    name = "history"
    paged = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._pages: dict[str, Any] = {}
        self._sources = _Sources()
        self._inputs: dict[str, str] = {}
        """What each `_iN` is at first."""

    def collect(self) -> dict[str, Any]:
        """Pages of inputs and of sources; an unchanged page is the same object as before."""
        manager = self.shell.history_manager
        parsed, raw, shown = manager.input_hist_parsed, manager.input_hist_raw, manager.output_hist_reprs
        pages: dict[str, Any] = {"recent": (manager._i00, manager._i, manager._ii, manager._iii)}
        for start, end in _bounds(len(parsed)):
            lines = {n: shown[n] for n in range(start, end) if n in shown} if shown else {}
            pages[f"in/{start}"] = (parsed[start:end], raw[start:end], lines)
        sources = list(self.shell.compile._filename_map.items())
        for start, end in _bounds(len(sources)):
            pages[f"source/{start}"] = self._sources.page(start, sources[start:end])
        known = self._pages
        self._pages = {
            name: known[name] if name in known and known[name] == page else page
            for name, page in pages.items()
        }
        return self._pages

    def apply(self, value: dict[str, Any]) -> None:
        """Fill the live lists, the namespace's `_iN`, the database behind `%history`, and the sources."""
        manager, compiler = self.shell.history_manager, self.shell.compile
        ordered = sorted(value, key=lambda name: (name.partition("/")[0], int(name.partition("/")[2] or 0)))
        parsed: list[str] = []
        raw: list[str] = []
        for name in ordered:
            if name.startswith("in/"):
                parsed += value[name][0]
                raw += value[name][1]
                manager.output_hist_reprs.update(value[name][2])
            elif name.startswith("source/"):
                for file, number, text in value[name]:
                    compiler._filename_map[file] = number
                    if text is not None:
                        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        manager.input_hist_parsed[:] = parsed
        manager.input_hist_raw[:] = raw
        manager._i00, manager._i, manager._ii, manager._iii = value["recent"]
        self._publish(raw)
        rows = zip(range(1, len(raw)), parsed[1:], raw[1:], strict=False)
        manager.db_input_cache = list(rows)  # who reads the database has it written out first

    def _publish(self, raw: list[str]) -> None:
        names = {f"_i{number}": text for number, text in enumerate(raw) if number}
        manager = self.shell.history_manager
        names |= {"_i": manager._i, "_ii": manager._ii, "_iii": manager._iii}
        self.shell.push(names, interactive=False)

    def owned(self, variables: Mapping[Any, Any]) -> set[str]:
        """Those of `_i`, `_ii`, `_iii`, `_iN` that stand for what `apply` brings back under these names."""
        manager, inputs = self.shell.history_manager, self._all_inputs()
        names = {name for name in _RECENT if _is_text(variables.get(name), getattr(manager, name))}
        if all(map(operator.is_, map(variables.get, inputs), inputs.values())):
            return names.union(inputs)
        return names | {name for name, text in inputs.items() if _is_text(variables.get(name), text)}

    def _all_inputs(self) -> dict[str, str]:
        """All `_iN`; only new ones are added, as long as the history is what it was."""
        raw, inputs = self.shell.history_manager.input_hist_raw, self._inputs
        same = map(operator.is_, itertools.islice(raw, 1, None), inputs.values())
        if len(inputs) >= len(raw) or not all(same):
            inputs.clear()
        for number in range(len(inputs) + 1, len(raw)):
            inputs[f"_i{number}"] = raw[number]
        return inputs


def _is_text(value: Any, text: str) -> bool:
    return type(value) is str and value == text


def _bounds(count: int) -> Iterator[tuple[int, int]]:
    """The pages of so many cells: where each starts and ends."""
    full = count - count % PAGE
    for start in range(0, full, PAGE):
        yield start, start + PAGE
    for start in range(full, count, _TAIL):
        yield start, min(start + _TAIL, count)


class _Sources:
    """Sources of cells by pages, read again only where the interpreter holds other ones."""

    def __init__(self) -> None:
        self._pages: dict[int, tuple[list[Any], list[Any], list[Any]]] = {}

    def page(self, start: int, cells: list[tuple[str, int]]) -> list[tuple[str, int, str | None]]:
        """File name, number and text of each cell."""
        entries: list[Any] = [linecache.cache.get(name) for name, _ in cells]
        known = self._pages.get(start)
        if known is not None and known[0] == cells and all(map(operator.is_, known[1], entries)):
            return known[2]
        found = [(name, number, _text(entry)) for (name, number), entry in zip(cells, entries, strict=True)]
        self._pages[start] = cells, entries, found
        return found


def _text(entry: Any) -> str | None:
    """The text of an entry of the interpreter's cache of lines."""
    return "".join(entry[2]) if entry is not None and len(entry) == 4 else None
