"""What a cell gave back: its results in every MIME type, its text, its failure."""

from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any, cast

from kernel_manager.client.errors import CellError, to_error
from kernel_manager.outputs import Output, OutputLog

MimeBundle = tuple[dict[str, Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class CellFailure:
    """The exception a cell raised; `traceback` holds its lines, with terminal colours."""

    name: str
    value: str
    traceback: list[str]

    def __str__(self) -> str:
        """The traceback as a terminal shows it."""
        return "\n".join(self.traceback) or f"{self.name}: {self.value}"


@dataclass(frozen=True, slots=True)
class Result:
    """One rich output. It renders in a notebook as it did where it was made."""

    data: dict[str, Any]
    """By MIME type, as in Jupyter messages: text as str, JSON as objects, the rest base64."""
    metadata: dict[str, Any] = field(default_factory=dict)
    is_main: bool = False
    """The value of the cell's last expression, rather than something displayed on the way."""

    def formats(self) -> list[str]:
        """The MIME types at hand."""
        return list(self.data)

    @property
    def text(self) -> str | None:
        """text/plain"""
        return self._text("text/plain")

    @property
    def html(self) -> str | None:
        """text/html"""
        return self._text("text/html")

    @property
    def markdown(self) -> str | None:
        """text/markdown"""
        return self._text("text/markdown")

    @property
    def latex(self) -> str | None:
        """text/latex"""
        return self._text("text/latex")

    @property
    def svg(self) -> str | None:
        """image/svg+xml"""
        return self._text("image/svg+xml")

    @property
    def javascript(self) -> str | None:
        """application/javascript"""
        return self._text("application/javascript")

    @property
    def json(self) -> Any:
        """application/json, parsed"""
        return self.data.get("application/json")

    @property
    def png(self) -> bytes | None:
        """image/png, decoded"""
        return self._bytes("image/png")

    @property
    def jpeg(self) -> bytes | None:
        """image/jpeg, decoded"""
        return self._bytes("image/jpeg")

    @property
    def pdf(self) -> bytes | None:
        """application/pdf, decoded"""
        return self._bytes("application/pdf")

    def __str__(self) -> str:
        """The plain text, or the types there are instead."""
        return self.text if self.text is not None else f"<{', '.join(self.formats())}>"

    def _text(self, mime: str) -> str | None:
        value = self.data.get(mime)
        return "".join(value) if isinstance(value, str | list) else None

    def _bytes(self, mime: str) -> bytes | None:
        text = self._text(mime)
        return None if text is None else b64decode(text)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> MimeBundle:
        kept = {
            mime: value
            for mime, value in self.data.items()
            if (not include or mime in include) and (not exclude or mime not in exclude)
        }
        return kept, self.metadata

    def _repr_html_(self) -> str | None:
        return self.html

    def _repr_markdown_(self) -> str | None:
        return self.markdown

    def _repr_latex_(self) -> str | None:
        return self.latex

    def _repr_svg_(self) -> str | None:
        return self.svg

    def _repr_javascript_(self) -> str | None:
        return self.javascript

    def _repr_json_(self) -> Any:
        return self.json

    def _repr_png_(self) -> bytes | None:
        return self.png

    def _repr_jpeg_(self) -> bytes | None:
        return self.jpeg


@dataclass(slots=True)
class Execution:
    """One run of a cell, finished. Text and results are what a notebook would show below the cell."""

    run_id: str
    status: str
    """`ok`; `error`: the cell raised; `aborted`: it never started; `failed`: see `problem`."""
    log: OutputLog = field(repr=False, compare=False)
    error: CellFailure | None = None
    execution_count: int | None = None
    revision: int | None = None
    """The session's committed state after the cell."""
    notices: list[str] = field(default_factory=list)
    """What the user should know, as of variables that cannot be carried."""
    problem: dict[str, Any] | None = None
    """Why the run failed, as a problem document."""
    user_expressions: dict[str, Any] = field(default_factory=dict)
    payload: list[dict[str, Any]] = field(default_factory=list)
    background: bool = False
    """Threads or tasks of the cell live on and may still write."""

    @property
    def outputs(self) -> list[Output]:
        """In nbformat; a display that a later cell updates changes here too."""
        return self.log.outputs

    @property
    def results(self) -> list[Result]:
        """Everything displayed, and the value of the last expression, in order."""
        return [
            Result(output["data"], output["metadata"], output["output_type"] == "execute_result")
            for output in self.outputs
            if output["output_type"] in {"execute_result", "display_data"}
        ]

    @property
    def result(self) -> Result | None:
        """The value of the last expression."""
        return next((result for result in reversed(self.results) if result.is_main), None)

    @property
    def text(self) -> str | None:
        """The plain text of the last expression's value; None if it has none."""
        return self.result.text if self.result is not None else None

    @property
    def html(self) -> str | None:
        """The HTML of the last expression's value; None if it has none."""
        return self.result.html if self.result is not None else None

    @property
    def stdout(self) -> str:
        """What the cell printed."""
        return self._read_stream("stdout")

    @property
    def stderr(self) -> str:
        """What the cell wrote to stderr."""
        return self._read_stream("stderr")

    def raise_for_error(self) -> "Execution":
        """This execution, if all went well.

        Raises `CellError` if the cell raised, and if the run failed otherwise, what its problem stands
        for: `CellTimeout`, `WorkerLost` ...
        """
        if self.problem is not None:
            raise to_error(self.problem)
        if self.error is not None:
            raise CellError(self.error.name, self.error.value, self.error.traceback)
        if self.status != "ok":
            raise CellError("Aborted", "the cell was not run, because one before it failed", [])
        return self

    def _read_stream(self, name: str) -> str:
        return "".join(
            cast("str", output["text"])
            for output in self.outputs
            if output["output_type"] == "stream" and output["name"] == name
        )
