"""Routes of a session's state: its variables and revisions; go back to one, fork a session from one."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from kernel_broker.api.identity.caller import CallerOf
from kernel_broker.api.models import CheckoutRequest, ForkRequest, RevisionList, SessionView, VariableList
from kernel_broker.api.problems import documented
from kernel_broker.api.sessions import EXISTED, SessionPath, service
from kernel_broker.sessions.revisions import NewFork, Past
from kernel_broker.wire.ids import Revision, SessionId, new_session_id

router = APIRouter(prefix="/v1/sessions/{session_id}", tags=["revisions"])


def _past(request: Request) -> Past:
    found: Past = request.app.state.past
    return found


@router.get("/revisions", response_model=RevisionList, responses=documented(404))
async def index(request: Request, session_id: SessionPath, caller: CallerOf) -> Any:
    """The revisions that are kept, oldest first; the last one is the head."""
    return {"revisions": await _past(request).kept(caller, SessionId(session_id))}


@router.get("/variables", response_model=VariableList, responses=documented(404))
async def variables(request: Request, session_id: SessionPath, caller: CallerOf) -> Any:
    """The variables as of the last commit, and what of them lives only in its process."""
    return {"variables": await _past(request).variables(caller, SessionId(session_id))}


@router.post("/checkout", response_model=SessionView, responses=documented(404, 409))
async def checkout(request: Request, session_id: SessionPath, body: CheckoutRequest, caller: CallerOf) -> Any:
    """Go back to a kept revision: it becomes the head again, as a new revision, with all its state."""
    return await service(request).checkout(caller, SessionId(session_id), Revision(body.revision))


@router.post(
    "/fork", status_code=201, response_model=SessionView, responses={**EXISTED, **documented(404, 409)}
)
async def fork(request: Request, session_id: SessionPath, body: ForkRequest, caller: CallerOf) -> Response:
    """Start a new session from a kept revision; it shares the stored chunks, and goes its own way."""
    new_id = SessionId(body.session_id) if body.session_id else new_session_id()
    revision = None if body.revision is None else Revision(body.revision)
    is_new = await _past(request).fork(caller, SessionId(session_id), NewFork(new_id, revision, body.name))
    session = await service(request).describe(caller, new_id)
    return JSONResponse(session, 201 if is_new else 200, {"Location": f"/v1/sessions/{new_id}"})
