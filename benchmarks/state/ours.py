"""Our engine on a shell of this process, driven as the worker drives it."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell

from kernel_broker.worker.runtime import settle
from kernel_broker.worker.state.deferred import StandIn
from kernel_broker.worker.state.engine import StateEngine

KEY = b"k" * 32


def make_shell() -> Any:
    """A pristine shell whose history is in memory, as a worker's is."""
    HistoryManager.hist_file.default_value = ":memory:"
    return InteractiveShell.instance()


def make_settled_shell() -> Any:
    """The same, where the zygote has done what it does before a worker is forked."""
    shell = make_shell()
    settle(SimpleNamespace(shell=shell))
    return shell


class Ours:
    """The engine, and what a store would hold of it."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.engine: Any = StateEngine(shell, KEY)
        self.entries: dict[str, bytes] = {}
        self.chunks: dict[str, bytes] = {}
        self._takes_code = "code" in inspect.signature(self.engine.capture).parameters

    def run(self, code: str) -> None:
        """Run a cell; it must succeed."""
        self.shell.run_cell(code, store_history=True).raise_error()

    def capture(self, code: str, sink: Any) -> Any:
        """What a worker does when a cell has run."""
        if self._takes_code:
            return self.engine.capture(sink, code=code)
        return self.engine.capture(sink)

    def keep(self, name: str, data: Any) -> None:
        """A sink that stores."""
        self.chunks[name] = bytes(data)

    def apply(self, delta: Any) -> int:
        """Commit a delta to the dicts above, and acknowledge it; the bytes it wrote, chunks not counted."""
        refuse(delta)
        self.entries.update(delta.put)
        for name in delta.delete:
            self.entries.pop(name, None)
        for name in set(delta.drop) - set(delta.add):
            self.chunks.pop(name, None)
        self.engine.acknowledge()
        return sum(map(len, delta.put.values()))

    def run_and_commit(self, code: str) -> None:
        """A cell that is not measured."""
        self.run(code)
        self.apply(self.capture(code, self.keep))

    def bring_back(self, entries: Mapping[str, bytes], names: Sequence[str]) -> None:
        """Restore, and have every variable there, not only promised."""
        self.engine.restore(entries, self.fetch)
        self.engine.require(None)
        kept = [name for name in names if name not in self.shell.user_ns or self._is_promised(name)]
        if kept:
            raise RuntimeError(f"these variables did not come back: {kept}")

    def _is_promised(self, name: str) -> bool:
        return type(self.shell.user_ns[name]) is StandIn

    def fetch(self, names: Sequence[str]) -> Iterator[bytes | None]:
        """From the dicts above."""
        return (self.chunks.get(name) for name in names)

    def variables(self) -> dict[str, Any]:
        """What the peers are given: every variable of the user's."""
        hidden = self.shell.user_ns_hidden
        return {
            name: value
            for name, value in self.shell.user_ns.items()
            if name not in hidden and not name.startswith("_")
        }


class Counter:
    """A sink that counts bytes."""

    def __init__(self) -> None:
        self.bytes = 0

    def __call__(self, _name: str, data: Any) -> None:
        self.bytes += len(data)


def refuse(delta: Any) -> None:
    """A capture that saved nothing, or not all, must not be taken for a fast one."""
    if getattr(delta, "refused", None) or delta.pinned:
        raise RuntimeError(f"the capture is incomplete: {getattr(delta, 'refused', None)} {delta.pinned}")
