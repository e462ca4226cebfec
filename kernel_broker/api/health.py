"""Routes for platforms and operators: liveness, readiness, metrics, the runtime."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from kernel_broker import __version__
from kernel_broker.api.identity.caller import CallerOf
from kernel_broker.api.models import RuntimeView
from kernel_broker.api.problems import documented
from kernel_broker.errors import Unavailable
from kernel_broker.metrics import REGISTRY, SESSIONS, WORKERS

router = APIRouter(tags=["health"])

WARM_SHARE = 0.3
"""Ready when at least this share of the spare workers is warm."""


@router.get("/livez")
async def livez() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok", "version": __version__}


@router.get("/readyz", responses=documented())
async def readyz(request: Request) -> dict[str, Any]:
    """The broker can run cells: store reachable, zygote up, spares warm, not draining."""
    state = request.app.state
    if state.sessions.draining:
        raise Unavailable("this pod is shutting down", code="draining", retry_after=1)
    if state.pool.info is None:
        raise Unavailable(state.pool.failure or "the pod is loading its libraries", retry_after=1)
    if state.pool.warm < WARM_SHARE:
        raise Unavailable("the spare workers are not ready yet", retry_after=1)
    await state.store.ping()
    return {"status": "ok", "workers": state.pool.counts, "sandbox": state.layers}


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Prometheus metrics."""
    for use, count in request.app.state.pool.counts.items():
        WORKERS.labels(use).set(count)
    for name, count in request.app.state.sessions.counts.items():
        SESSIONS.labels(name).set(count)
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


@router.get("/v1/runtime", response_model=RuntimeView, tags=["sessions"], responses=documented())
async def runtime(request: Request, caller: CallerOf) -> Any:  # noqa: ARG001  (documents that it is asked for)
    """What this pool's workers are, and the content of their kernel_info_reply."""
    info = request.app.state.pool.info
    if info is None:
        raise Unavailable(request.app.state.pool.failure or "the pod is loading its libraries", retry_after=1)
    return {**info["runtime"], "kernel_info": info["kernel_info"], "broker_version": __version__}
