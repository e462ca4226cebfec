"""What a cell's messages amount to, as nbclient and a notebook front end have it."""

import base64
from typing import Any
from weakref import WeakSet

import nbformat
import pytest
from IPython.core.formatters import DisplayFormatter
from loopback import cell

from kernel_broker.wire.events import read_line, to_line
from kernel_manager import CellError, CellFailure, CellTimeout, Execution, Result, WorkerLost
from kernel_manager.cell import CellReader, split_options
from kernel_manager.outputs import OutputLog
from kernel_manager.widgets import WidgetStates

PNG = base64.b64encode(b"\x89PNG picture").decode()


def stream(text: str, name: str = "stdout") -> tuple[str, dict[str, Any]]:
    return "stream", {"name": name, "text": text}


def display(msg_type: str, text: str, display_id: str | None = None) -> tuple[str, dict[str, Any]]:
    transient = {"display_id": display_id} if display_id else None
    return msg_type, {"data": {"text/plain": text}, "metadata": {}, "transient": transient}


def run(
    *messages: tuple[str, dict[str, Any]], logs: WeakSet[OutputLog] | None = None, **end: Any
) -> Execution:
    reader = CellReader("r", WeakSet() if logs is None else logs)
    for line in cell(*messages, **end):
        for _ in reader.read(read_line(line)):
            pass
    return reader.to_execution()


def texts(execution: Execution) -> list[str | None]:
    return [result.text for result in execution.results]


def test_a_plain_cell() -> None:
    result = "execute_result", {"data": {"text/plain": "2"}, "metadata": {}, "execution_count": 7}
    execution = run(stream("a"), stream("b\n"), stream("oops", "stderr"), stream("c"), result)
    assert (execution.text, execution.stdout, execution.stderr) == ("2", "ab\nc", "oops")
    assert (execution.status, execution.execution_count, execution.revision) == ("ok", 7, 5)
    assert [output["output_type"] for output in execution.outputs] == ["stream"] * 3 + ["execute_result"]
    assert execution.raise_for_error() is execution


def test_outputs_are_valid_nbformat() -> None:
    error = "error", {"ename": "E", "evalue": "v", "traceback": ["t"]}
    execution = run(stream("a"), display("display_data", "d"), error, status="error")
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell("x", outputs=nbformat.from_dict(execution.outputs))]
    nbformat.validate(notebook)


def test_no_result_has_no_text() -> None:
    assert run(display("display_data", "shown")).text is None


def test_clear_output_now_and_with_the_next_output() -> None:
    clear, wait = ("clear_output", {"wait": False}), ("clear_output", {"wait": True})
    assert run(stream("a"), clear, stream("b")).stdout == "b"
    assert run(stream("a"), wait).stdout == "a"
    assert run(stream("a"), wait, wait, stream("b"), stream("c")).stdout == "bc"
    assert run(stream("a"), wait, clear, stream("b")).stdout == "b"


def test_update_display_changes_every_place_it_is_shown() -> None:
    execution = run(
        display("display_data", "0 %", "bar"),
        display("display_data", "other", "else"),
        display("update_display_data", "50 %", "bar"),
        display("display_data", "100 %", "bar"),
        display("update_display_data", "nobody", "unknown"),
    )
    assert texts(execution) == ["100 %", "other", "100 %"]


def test_update_display_reaches_cells_before_and_not_cleared_ones() -> None:
    logs: WeakSet[OutputLog] = WeakSet()
    first = run(display("display_data", "old", "d"), logs=logs)
    cleared = run(
        display("display_data", "old", "d"), ("clear_output", {"wait": False}), stream("x"), logs=logs
    )
    run(display("update_display_data", "new", "d"), logs=logs)
    assert texts(first) == ["new"]
    assert texts(cleared) == []


def test_logs_of_forgotten_executions_are_let_go() -> None:
    logs: WeakSet[OutputLog] = WeakSet()
    for _ in range(10):
        run(stream("x"), logs=logs)
    assert len(logs) == 0


def test_failed_cell() -> None:
    error = "error", {"ename": "ValueError", "evalue": "bad", "traceback": ["line 1", "line 2"]}
    execution = run(error, status="error")
    assert execution.error == CellFailure("ValueError", "bad", ["line 1", "line 2"])
    with pytest.raises(CellError, match="ValueError: bad") as caught:
        execution.raise_for_error()
    assert caught.value.traceback == ["line 1", "line 2"]


@pytest.mark.parametrize(("code", "kind"), [("worker_lost", WorkerLost), ("cell_timeout", CellTimeout)])
def test_failed_run_raises_what_its_problem_stands_for(code: str, kind: type[Exception]) -> None:
    execution = run(status="failed", problem={"code": code, "status": 500, "detail": "what happened"})
    with pytest.raises(kind, match="what happened"):
        execution.raise_for_error()


def test_aborted_run() -> None:
    with pytest.raises(CellError, match="Aborted"):
        run(status="aborted").raise_for_error()


def test_dropped_lines_are_noticed() -> None:
    reader = CellReader("r", WeakSet())
    lines = cell(notices=["f cannot be carried"])
    for line in [lines[0], to_line("dropped", 9, first=1, last=9), lines[-1]]:
        assert list(reader.read(read_line(line))) == []
    notices = reader.to_execution().notices
    assert notices[0] == "f cannot be carried"
    assert "9 messages" in notices[1]


def test_waiting_is_told() -> None:
    reader = CellReader("r", WeakSet())
    queued = {"event": "queued", "seq": 1, "position": 3, "reason": "line"}
    assert [call.args for call in reader.read(queued)] == [("line (position 3)",)]


def test_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="on_stdut"):
        split_options({"on_stdut": print})  # type: ignore[typeddict-unknown-key]


FULL = Result(
    {
        "text/plain": "t", "text/html": "<b>", "text/markdown": "*m*", "text/latex": "$l$",
        "image/svg+xml": "<svg/>", "image/png": PNG, "image/jpeg": PNG, "application/pdf": PNG,
        "application/json": {"a": [1]}, "application/javascript": "j()", "application/x-own": {"v": 1},
    },
    {"image/png": {"width": 5}},
)  # fmt: skip


def test_result_has_every_format() -> None:
    assert FULL.formats()[0] == "text/plain"
    assert (FULL.text, FULL.html, FULL.markdown, FULL.latex) == ("t", "<b>", "*m*", "$l$")
    assert (FULL.svg, FULL.javascript, FULL.json) == ("<svg/>", "j()", {"a": [1]})
    assert FULL.png == FULL.jpeg == FULL.pdf == b"\x89PNG picture"
    empty = Result({})
    assert (empty.text, empty.png, empty.json, empty.formats()) == (None, None, None, [])


def test_text_split_in_lines_is_joined() -> None:
    assert Result({"text/html": ["<b>", "</b>"]}).html == "<b></b>"


def test_result_renders_in_a_notebook_as_where_it_was_made() -> None:
    data, metadata = DisplayFormatter(active_types=list(FULL.data)).format(FULL)
    assert data == FULL.data
    assert metadata == FULL.metadata
    only, _ = FULL._repr_mimebundle_(include={"text/html"})
    assert only == {"text/html": "<b>"}


def test_printed_result_is_its_text() -> None:
    assert str(Result({"text/plain": "2"})) == "2"
    assert str(Result({"image/png": PNG})) == "<image/png>"


def test_widget_state_as_in_a_notebook_file() -> None:
    def comm(msg_type: str, state: dict[str, Any], **more: Any) -> dict[str, Any]:
        content = {"comm_id": "c", "data": {"state": state, **more}}
        return {"msg_type": msg_type, "content": content, "buffers": [PNG]}

    states = WidgetStates()
    assert states.to_metadata() is None
    states.read(comm("comm_open", {"_model_name": "IntSlider", "_model_module": "m", "value": 1}))
    states.read(comm("comm_msg", {"value": 2}, buffer_paths=[["pixels"]]))
    states.read({"msg_type": "stream", "content": {"name": "stdout", "text": ""}})
    metadata = states.to_metadata()
    assert metadata is not None
    model = metadata["application/vnd.jupyter.widget-state+json"]["state"]["c"]
    assert (model["model_name"], model["state"]["value"]) == ("IntSlider", 2)
    assert model["buffers"] == [{"data": PNG, "encoding": "base64", "path": ["pixels"]}]
