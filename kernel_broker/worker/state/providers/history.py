"""What was run: In, the raw inputs, the names and sources of cells. Append-only, so kept in pages."""

import linecache
import re
from typing import Any

from kernel_broker.worker.state.providers.contract import Provider

PAGE = 64
"""Cells to a page: only the last page is written again after a cell."""

_NAME = re.compile(r"_i(\d+)")


class History(Provider):
    """In, `_iN`, `%history`, history requests, tracebacks and sources of old cells."""

    name = "history"
    paged = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._pages: dict[str, Any] = {}

    def collect(self) -> dict[str, Any]:
        """Pages of inputs and of sources; an unchanged page is the same object as before."""
        manager = self.shell.history_manager
        parsed, raw = manager.input_hist_parsed, manager.input_hist_raw
        sources = list(self.shell.compile._filename_map.items())
        pages: dict[str, Any] = {"recent": (manager._i00, manager._i, manager._ii, manager._iii)}
        for start in range(0, len(parsed), PAGE):
            lines = {n: manager.output_hist_reprs[n] for n in _reprs(manager, start)}
            pages[f"in/{start}"] = (parsed[start : start + PAGE], raw[start : start + PAGE], lines)
        for start in range(0, len(sources), PAGE):
            page = sources[start : start + PAGE]
            pages[f"source/{start}"] = [(name, number, _source(name)) for name, number in page]
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
        manager.db_input_cache = list(rows)
        manager.writeout_cache()

    def _publish(self, raw: list[str]) -> None:
        names = {f"_i{number}": text for number, text in enumerate(raw) if number}
        manager = self.shell.history_manager
        names |= {"_i": manager._i, "_ii": manager._ii, "_iii": manager._iii}
        self.shell.push(names, interactive=False)

    def owns(self, name: str, value: Any) -> bool:
        """Whether a variable is one of `_i`, `_ii`, `_iii`, `_iN` that `apply` makes."""
        if name[:2] != "_i" or type(value) is not str:
            return False
        manager = self.shell.history_manager
        if name in ("_i", "_ii", "_iii"):
            return bool(getattr(manager, name) == value)
        found = _NAME.fullmatch(name)
        raw = manager.input_hist_raw
        return found is not None and int(found[1]) < len(raw) and raw[int(found[1])] == value


def _reprs(manager: Any, start: int) -> list[int]:
    kept = manager.output_hist_reprs
    return [number for number in range(start, start + PAGE) if number in kept] if kept else []


def _source(name: str) -> str | None:
    entry = linecache.cache.get(name)
    return "".join(entry[2]) if entry is not None and len(entry) == 4 else None
