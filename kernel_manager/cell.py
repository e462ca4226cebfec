"""Reads a cell's events: keeps the outputs, and says which of the caller's functions to call.

No I/O, and no calls: the async and the blocking session make them, each in its own way.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypedDict
from weakref import WeakSet

from kernel_broker.wire.events import Event
from kernel_manager.outputs import OutputLog, read_display_id
from kernel_manager.results import CellFailure, Execution, Result


class Callbacks(TypedDict, total=False):
    """Functions called while a cell runs. With an `AsyncSession` they may be coroutine functions."""

    on_stdout: Callable[[str], Any] | None
    on_stderr: Callable[[str], Any] | None
    on_result: Callable[[Result], Any] | None
    on_error: Callable[[CellFailure], Any] | None
    on_message: Callable[[Event], Any] | None
    """Gets every Jupyter message of the run, as the broker's event."""
    on_input: Callable[[str, bool], Any] | None
    """Gets the prompt and whether to hide what is typed; returns the line. Without it `input()` raises."""
    on_wait: Callable[[str], Any] | None
    """Gets the reason when the cell waits: for its turn, or for a broker that does not answer."""


class ExecuteOptions(Callbacks, total=False):
    """`Callbacks`, and the fields of Jupyter's execute_request."""

    silent: bool
    store_history: bool
    user_expressions: dict[str, str]
    stop_on_error: bool
    metadata: dict[str, Any]


class Call(NamedTuple):
    """One of the callbacks to call."""

    name: str
    args: tuple[Any, ...]


def split_options(options: ExecuteOptions) -> tuple[dict[str, Callable[..., Any]], dict[str, Any]]:
    """The callbacks, and the fields of the request; raises TypeError for an unknown name."""
    if unknown := options.keys() - ExecuteOptions.__annotations__.keys():
        raise TypeError(f"execute() got unknown options: {', '.join(sorted(unknown))}")
    callbacks: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    for name, value in options.items():
        if value is not None:
            (callbacks if name in Callbacks.__annotations__ else fields)[name] = value
    return callbacks, {**fields, "allow_stdin": "on_input" in callbacks}


class CellReader:
    """One run. `earlier` are the output logs of the session's cells, whose displays this one may update."""

    def __init__(self, run_id: str, earlier: WeakSet[OutputLog]) -> None:
        self._run_id = run_id
        self._log = OutputLog()
        self._earlier = earlier
        self._error: CellFailure | None = None
        self._reply: dict[str, Any] = {}
        self._end: Event = {}
        self._dropped = 0
        earlier.add(self._log)

    def read(self, event: Event) -> Iterator[Call]:
        """Take in one event; yields what the caller's functions are to be told."""
        kind = event["event"]
        if kind == "message":
            yield Call("on_message", (event,))
            yield from self._read_message(event)
        elif kind in {"queued", "waiting"}:
            yield Call("on_wait", (_describe_wait(event),))
        elif kind == "dropped":
            self._dropped += event["last"] - event["first"] + 1
        elif kind == "end":
            self._end = event

    def to_execution(self) -> Execution:
        """The run as a whole, after its `end`."""
        notices = list(self._end.get("notices") or ())
        if self._dropped:
            notices.append(f"{self._dropped} messages of this run were dropped: its output is over the limit")
        return Execution(
            run_id=self._run_id,
            status=self._end["status"],
            log=self._log,
            error=self._error,
            execution_count=self._end.get("execution_count") or self._reply.get("execution_count"),
            revision=self._end.get("revision"),
            notices=notices,
            problem=self._end.get("problem"),
            user_expressions=self._reply.get("user_expressions") or {},
            payload=self._reply.get("payload") or [],
            background=bool(self._end.get("background")),
        )

    def _read_message(self, event: Event) -> Iterator[Call]:
        msg_type, content = event["msg_type"], event["content"]
        if msg_type == "execute_reply":
            self._reply = content
        elif msg_type == "input_request":
            yield Call("on_input", (content.get("prompt", ""), bool(content.get("password"))))
        elif msg_type in {"update_display_data", "display_data", "execute_result"}:
            yield from self._read_display(msg_type, content)
        elif msg_type == "stream":
            self._log.add(msg_type, content)
            yield Call(f"on_{content['name']}", (content["text"],))
        elif msg_type == "error":
            self._log.add(msg_type, content)
            self._error = CellFailure(content["ename"], content["evalue"], list(content["traceback"]))
            yield Call("on_error", (self._error,))
        elif event["channel"] == "iopub":
            self._log.add(msg_type, content)

    def _read_display(self, msg_type: str, content: dict[str, Any]) -> Iterator[Call]:
        if display_id := read_display_id(content):
            for log in self._earlier:
                log.update_display(display_id, content)
        if self._log.add(msg_type, content) is not None:
            is_main = msg_type == "execute_result"
            yield Call("on_result", (Result(content["data"], content.get("metadata") or {}, is_main),))


def _describe_wait(event: Event) -> str:
    reason = str(event.get("reason") or "waiting")
    position = event.get("position")
    return f"{reason} (position {position})" if position else reason
