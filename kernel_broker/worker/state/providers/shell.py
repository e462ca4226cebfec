"""IPython's own state: the cell counter, results, the folder history."""

from typing import Any

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
    """Out, and `_`, `__`, `___` as the display hook knows them: it leaves other values alone."""

    name = "results"
    in_graph = True

    def collect(self) -> dict[str, Any]:
        """All results so far."""
        hook = self.shell.displayhook
        return {
            "out": dict(self.shell.history_manager.output_hist),
            "latest": (hook._, hook.__, hook.___),
            "folders": list(self.shell.history_manager.dir_hist),
            "stack": list(self.shell.dir_stack),
        }

    def apply(self, value: dict[str, Any]) -> None:
        """Fill the live objects."""
        manager, hook = self.shell.history_manager, self.shell.displayhook
        manager.output_hist.clear()
        manager.output_hist.update(value["out"])
        manager.dir_hist[:] = value["folders"]
        self.shell.dir_stack[:] = value["stack"]
        hook._, hook.__, hook.___ = value["latest"]
