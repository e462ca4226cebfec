"""IPython's own state: the cell counter, results, the folder history."""

from typing import Any

from kernel_broker.worker.state.definitions import ATOMS
from kernel_broker.worker.state.providers.contract import Provider


class Counter(Provider):
    """The number of the next cell."""

    name = "counter"

    def collect(self) -> int:
        """The number."""
        return int(self.shell.execution_count)

    def apply(self, value: int) -> None:
        """Set it."""
        self.shell.execution_count = value


class Results(Provider):
    """`_`, `__`, `___` as the display hook knows them (it leaves other values alone), and folders.

    The results in Out are roots of their own; most often the latest are among them.
    """

    name = "results"
    in_graph = True
    steady = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._kept: dict[str, Any] = {}

    def collect(self) -> dict[str, Any]:
        """The numbers of the latest results, or what is none of them, and the lists of folders."""
        hook, results = self.shell.displayhook, self.shell.history_manager.output_hist
        numbers = {id(value): number for number, value in results.items()}
        latest = [
            (numbers[id(value)], None) if id(value) in numbers else (None, value)
            for value in (hook._, hook.__, hook.___)
        ]
        found = {
            "numbers": list(results),
            "latest": latest,
            "folders": list(self.shell.history_manager.dir_hist),
            "stack": list(self.shell.dir_stack),
        }
        if any(type(value) not in ATOMS for _, value in latest) or found != self._kept:
            self._kept = found
        return self._kept

    def apply(self, value: dict[str, Any]) -> None:
        """Fill the live objects; Out itself is filled already."""
        manager, hook = self.shell.history_manager, self.shell.displayhook
        results = dict(manager.output_hist)
        manager.output_hist.clear()
        manager.output_hist.update({number: results[number] for number in value["numbers"]})
        manager.dir_hist[:] = value["folders"]
        self.shell.dir_stack[:] = value["stack"]
        hook._, hook.__, hook.___ = (
            other if number is None else results[number] for number, other in value["latest"]
        )
