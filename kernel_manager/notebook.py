"""Runs a notebook cell by cell through the SDK and fills in what it gives, as nbclient does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import nbformat

from kernel_broker.wire.events import Event
from kernel_manager.results import Execution
from kernel_manager.session_blocking import Session
from kernel_manager.settings import KERNEL_NAME
from kernel_manager.widgets import WidgetStates

KERNELSPEC: Final = {"name": KERNEL_NAME, "display_name": "Serverless Python", "language": "python"}
_TIMED: Final = {"busy": "iopub.status.busy", "idle": "iopub.status.idle"}


@dataclass(frozen=True, slots=True)
class RunRules:
    """How to run a notebook's cells."""

    timeout: float | None = None
    """Seconds a cell may take."""
    allow_errors: bool = False
    """Go on after a cell that raised."""
    on_wait: Callable[[str], Any] | None = None


@dataclass(frozen=True, slots=True)
class CellRun:
    """A cell that has run. `stops`: it failed, and nothing after it is to run."""

    index: int
    execution: Execution
    stops: bool


class NotebookRun:
    """One pass over a notebook; the notebook is changed in place."""

    def __init__(self, notebook: nbformat.NotebookNode, session: Session, rules: RunRules) -> None:
        self._notebook = notebook
        self._session = session
        self._rules = rules
        self._widgets = WidgetStates()

    def cells(self) -> Iterator[CellRun]:
        """Run cell after cell; ends after the last, or after one that stops the run."""
        self._describe_kernel()
        for index, cell in enumerate(self._notebook.cells):
            if is_runnable(cell):
                done = self._run(index, cell)
                yield done
                if done.stops:
                    return

    def _run(self, index: int, cell: nbformat.NotebookNode) -> CellRun:
        cell.outputs = []
        cell.execution_count = None
        cell.metadata["execution"] = {}
        times = cell.metadata["execution"]
        may_fail = self._rules.allow_errors or "raises-exception" in cell.metadata.get("tags", [])

        def read(event: Event) -> None:
            self._widgets.read(event)
            _note_time(times, event)

        execution = self._session.execute(
            cell.source,
            timeout=self._rules.timeout,
            on_message=read,
            store_history=True,
            stop_on_error=not may_fail,
            on_wait=self._rules.on_wait,
        )
        cell.execution_count = execution.execution_count
        # The same objects, not copies: a later cell may update a display of this one.
        cell.outputs = execution.outputs
        self._keep_widgets()
        failed = execution.status != "ok" and not (may_fail and execution.status == "error")
        return CellRun(index, execution, failed)

    def _describe_kernel(self) -> None:
        info = self._session.request("kernel_info_request", {})
        self._notebook.metadata.language_info = info["language_info"]
        self._notebook.metadata.setdefault("kernelspec", KERNELSPEC)

    def _keep_widgets(self) -> None:
        if (state := self._widgets.to_metadata()) is not None:
            self._notebook.metadata.widgets = state


def is_runnable(cell: nbformat.NotebookNode) -> bool:
    """Whether the cell is code, not empty, and not tagged to be left out."""
    if cell.cell_type != "code" or not cell.source.strip():
        return False
    return "skip-execution" not in cell.metadata.get("tags", [])


def to_file(notebook: nbformat.NotebookNode) -> str:
    """The notebook as text, in the newest form of its format."""
    return str(nbformat.writes(nbformat.from_dict(notebook)))


def _note_time(times: dict[str, str], event: Event) -> None:
    msg_type, date = event["msg_type"], str(event["header"].get("date", ""))
    if msg_type == "status" and (name := _TIMED.get(event["content"]["execution_state"])):
        times[name] = date
    elif msg_type == "execute_input":
        times["iopub.execute_input"] = date
    elif msg_type == "execute_reply":
        times["shell.execute_reply"] = date
