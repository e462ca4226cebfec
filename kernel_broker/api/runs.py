"""Routes of runs: execute, other messages, re-attach."""

import base64
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi import Path as PathParameter

from kernel_broker.api.identity.caller import CallerOf
from kernel_broker.api.models import ExecuteRequest, Id, MessageRequest
from kernel_broker.api.problems import documented
from kernel_broker.api.sessions import SessionPath, service
from kernel_broker.api.streams import DOCUMENTED, JSON, NDJSON, preferred_form, respond
from kernel_broker.sessions.run import Request as KernelRequest
from kernel_broker.sessions.run import make_header
from kernel_broker.wire.ids import RunId, SessionId, is_valid_id, new_run_id

router = APIRouter(prefix="/v1/sessions/{session_id}", tags=["runs"])

RunPath = Annotated[Id, PathParameter(description="the run's id; `background` is the stray output's")]


@router.post("/execute", responses={**DOCUMENTED, **documented(404, 406, 409, 429, 500, 504)})
async def execute(
    request: Request, session_id: SessionPath, body: ExecuteRequest, caller: CallerOf
) -> Response:
    """Run a cell. The answer's form follows the Accept header; the run goes on if the reader leaves."""
    form = preferred_form(request)
    run_id = _run_id(body.run_id, body.header)
    header = make_header("execute_request", run_id, body.header)
    content = body.model_dump(
        include={"code", "silent", "store_history", "user_expressions", "allow_stdin", "stop_on_error"}
    )
    wanted = KernelRequest("shell", "execute_request", header, content, body.metadata)
    log = await service(request).start(caller, SessionId(session_id), run_id, wanted, body.timeout)
    return await respond(log, run_id, form)


@router.post("/messages", responses={**DOCUMENTED, **documented(404, 406, 409, 429, 500)})
async def message(
    request: Request, session_id: SessionPath, body: MessageRequest, caller: CallerOf
) -> Response:
    """Send any other Jupyter request (complete, inspect, history, comm_*, debug, …); answers are streamed."""
    form = preferred_form(request)
    run_id = _run_id(None, body.header)
    header = make_header(body.msg_type, run_id, body.header)
    buffers = [base64.b64decode(part) for part in body.buffers]
    wanted = KernelRequest(
        body.channel, body.msg_type, header, body.content, body.metadata, body.parent_header, buffers
    )
    log = await service(request).start(caller, SessionId(session_id), run_id, wanted)
    return await respond(log, run_id, NDJSON if form == JSON else form)


@router.get("/runs/{run_id}", responses={**DOCUMENTED, **documented(404, 406, 409, 500, 504)})
async def attach(
    request: Request,
    session_id: SessionPath,
    run_id: RunPath,
    caller: CallerOf,
    after: Annotated[int, Query(ge=-1, description="the last `seq` already seen")] = -1,
    last_event_id: Annotated[int | None, Header(ge=-1)] = None,
) -> Response:
    """Follow a run again, from a line on."""
    form = preferred_form(request)
    log = await service(request).attach(caller, SessionId(session_id), RunId(run_id))
    return await respond(log, run_id, form, after if last_event_id is None else last_event_id)


def _run_id(chosen: str | None, header: dict[str, object] | None) -> RunId:
    """The run's id: the client's choice, else the id of the message it forwards, else a new one."""
    msg_id = (header or {}).get("msg_id")
    if chosen is not None:
        return RunId(chosen)
    if isinstance(msg_id, str) and is_valid_id(msg_id):
        return RunId(msg_id)
    return new_run_id()
