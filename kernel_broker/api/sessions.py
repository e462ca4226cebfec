"""Routes of sessions: create, look, end, and what is done to them."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from kernel_broker.api.identity.caller import CallerOf
from kernel_broker.api.models import Id, InputReply, SessionCreate, SessionList, SessionView
from kernel_broker.api.problems import documented
from kernel_broker.errors import Conflict
from kernel_broker.sessions.creation import NewSession
from kernel_broker.sessions.service import Sessions
from kernel_broker.wire.ids import SessionId, new_session_id

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])

SessionPath = Annotated[Id, Path(description="the session's id")]


def service(request: Request) -> Sessions:
    """The sessions of this broker."""
    found: Sessions = request.app.state.sessions
    return found


EXISTED: dict[int | str, Any] = {200: {"model": SessionView, "description": "It existed already"}}


@router.post("", status_code=201, response_model=SessionView, responses={**EXISTED, **documented(403, 409)})
async def create(request: Request, body: SessionCreate, caller: CallerOf) -> Response:
    """Create a session; it costs nothing until its first cell."""
    runtime = (request.app.state.runtime() or {}).get("image")
    if body.runtime is not None and runtime is not None and body.runtime != runtime:
        raise Conflict(f"this pool serves the runtime {runtime!r} only", code="runtime_mismatch")
    new = NewSession(
        session_id=SessionId(body.session_id) if body.session_id else new_session_id(),
        caller=caller,
        name=body.name,
        cwd=body.cwd,
        env=body.env,
        limits=body.limits,
        files=body.files,
        recompute=body.recompute,
        idle_ttl=body.idle_ttl,
    )
    session, is_new = await service(request).create(new)
    location = {"Location": f"/v1/sessions/{new.session_id}"}
    return JSONResponse(session, 201 if is_new else 200, location)


@router.get("", response_model=SessionList, responses=documented(403))
async def index(
    request: Request,
    caller: CallerOf,
    owner: Annotated[
        str | None, Query(max_length=200, description="for admins: whose sessions; `*`: everybody's")
    ] = None,
) -> Any:
    """One's own sessions."""
    return {"sessions": await service(request).list(caller, owner)}


@router.get("/{session_id}", response_model=SessionView, responses=documented(404))
async def show(request: Request, session_id: SessionPath, caller: CallerOf) -> Any:
    """One session as it stands."""
    return await service(request).describe(caller, SessionId(session_id))


@router.delete("/{session_id}", status_code=204, responses=documented(404))
async def delete(request: Request, session_id: SessionPath, caller: CallerOf) -> Response:
    """End a session and forget its state."""
    await service(request).delete(caller, SessionId(session_id))
    return Response(status_code=204)


@router.post("/{session_id}/input", status_code=204, responses=documented(404, 409))
async def answer_input(
    request: Request, session_id: SessionPath, body: InputReply, caller: CallerOf
) -> Response:
    """Answer the cell that waits for a line."""
    await service(request).answer_input(caller, SessionId(session_id), body.value)
    return Response(status_code=204)


@router.post("/{session_id}/interrupt", status_code=204, responses=documented(404))
async def interrupt(request: Request, session_id: SessionPath, caller: CallerOf) -> Response:
    """Interrupt the running cell, if one runs."""
    await service(request).interrupt(caller, SessionId(session_id))
    return Response(status_code=204)


@router.post("/{session_id}/restart", response_model=SessionView, responses=documented(404, 409))
async def restart(request: Request, session_id: SessionPath, caller: CallerOf) -> Any:
    """A fresh namespace under the same id."""
    return await service(request).restart(caller, SessionId(session_id))


@router.post("/{session_id}/evict", response_model=SessionView, responses=documented(404, 409))
async def evict(request: Request, session_id: SessionPath, caller: CallerOf) -> Any:
    """Drop the warm worker once it is idle; the committed state stays."""
    return await service(request).evict(caller, SessionId(session_id))
