"""How a run is told: NDJSON, server-sent events, or one JSON object, by the Accept header."""

from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from kernel_broker.api.models import ExecuteResult
from kernel_broker.api.outputs import Outputs
from kernel_broker.api.problems import to_response
from kernel_broker.errors import BrokerError
from kernel_broker.sessions.runlog import RunLog
from kernel_broker.wire.events import read_line
from kernel_broker.wire.problems import CODES, Problem

NDJSON: Final = "application/x-ndjson"
SSE: Final = "text/event-stream"
JSON: Final = "application/json"

_HEADERS = {"X-Accel-Buffering": "no"}

DOCUMENTED: dict[int | str, dict[str, Any]] = {
    200: {
        "model": ExecuteResult,
        "description": "The run: a stream of events, or one object when it is over",
        "content": {
            NDJSON: {"schema": {"type": "string"}},
            SSE: {"schema": {"type": "string"}},
        },
    }
}


def preferred_form(request: Request) -> str:
    """The first form the client accepts, by its preference; NDJSON if it has none. Raises 406."""
    accepted = request.headers.get("accept", "*/*")
    ranges = [_read_range(item) for item in accepted.split(",") if item.strip()]
    for name, quality in sorted(ranges, key=lambda item: -item[1]):
        if quality <= 0:
            continue
        if name in ("*/*", "application/*", NDJSON):
            return NDJSON
        if name in (SSE, "text/*"):
            return SSE
        if name == JSON:
            return JSON
    raise BrokerError(f"answers come as {NDJSON}, {SSE} or {JSON}; accept one of them", code="not_acceptable")


def _read_range(item: str) -> tuple[str, float]:
    name, *parameters = (part.strip() for part in item.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name.lower(), float(parameter[2:])
            except ValueError:
                return name.lower(), 0.0
    return name.lower(), 1.0


async def respond(log: RunLog, run_id: str, form: str, after: int = -1) -> Response:
    """Tell a run in the wanted form. The run goes on even if the reader leaves."""
    if form == JSON:
        outputs = Outputs()
        await outputs.collect(log.follow(-1))
        if outputs.end["status"] == "failed" and (problem := outputs.end.get("problem")) is not None:
            return _problem_response({**problem, "run_id": run_id, "outputs": outputs.outputs})
        return JSONResponse(outputs.result(run_id))
    lines = log.follow(after)
    if form == SSE:
        return StreamingResponse(_as_sse(lines), media_type=SSE, headers=_HEADERS)
    return StreamingResponse(lines, media_type=NDJSON, headers=_HEADERS)


def _problem_response(document: dict[str, Any]) -> Response:
    known = {"type", "title", "status", "code", "detail", "retry_after"}
    extra = {name: value for name, value in document.items() if name not in known}
    assert document["code"] in CODES
    return to_response(Problem(document["code"], document["detail"], document.get("retry_after"), extra))


async def _as_sse(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in lines:
        for line in piece.splitlines():
            event = read_line(line)
            yield b"id: %d\nevent: %s\ndata: %s\n\n" % (event["seq"], event["event"].encode(), line)
