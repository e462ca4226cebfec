"""What was run: In, the raw inputs, the names and sources of cells. Append-only, so kept in pages."""

import linecache
import re
from collections.abc import Iterator
from typing import Any

from kernel_broker.worker.state.providers.contract import Provider

PAGE = 64
_TAIL = 8
"""Cells to a page, and to one of those at the end: only the last page is written again after a cell."""

_NAME = re.compile(r"_i(\d+)")


class History(Provider):
    """In, `_iN`, `%history`, history requests, tracebacks and sources of old cells."""

    name = "history"
    paged = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._pages: dict[str, Any] = {}
        self._texts = _Texts()
        self._raw: list[str] = shell.history_manager.input_hist_raw
        self._owned: dict[str, int] = {}

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
            pages[f"source/{start}"] = self._texts.page(sources[start:end])
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

    def owns(self, name: str, value: Any) -> bool:
        """Whether a variable is one of `_i`, `_ii`, `_iii`, `_iN` that `apply` makes."""
        raw = self._raw
        place = self._owned.get(name)
        if place is not None and place < len(raw) and raw[place] is value:
            return True
        if name[:2] != "_i" or type(value) is not str:
            return False
        manager = self.shell.history_manager
        if name in ("_i", "_ii", "_iii"):
            return bool(getattr(manager, name) == value)
        found = _NAME.fullmatch(name)
        if found is None or int(found[1]) >= len(raw) or raw[int(found[1])] != value:
            return False
        self._owned[name] = int(found[1])
        return True


def _bounds(count: int) -> Iterator[tuple[int, int]]:
    """The pages of so many cells: where each starts and ends."""
    full = count - count % PAGE
    for start in range(0, full, PAGE):
        yield start, start + PAGE
    for start in range(full, count, _TAIL):
        yield start, min(start + _TAIL, count)


class _Texts:
    """Sources of cells, read again only where the interpreter holds other ones."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Any, str | None]] = {}

    def page(self, cells: list[tuple[str, int]]) -> list[tuple[str, int, str | None]]:
        """File name, number and text of each cell."""
        return [(name, number, self._text(name)) for name, number in cells]

    def _text(self, name: str) -> str | None:
        entry: Any = linecache.cache.get(name)
        known = self._known.get(name)
        if known is None or known[0] is not entry:
            text = "".join(entry[2]) if entry is not None and len(entry) == 4 else None
            known = self._known[name] = entry, text
        return known[1]
