"""Every error leaves as a problem document."""

import logging
import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from kernel_broker.api.models import ProblemDocument
from kernel_broker.errors import BrokerError
from kernel_broker.wire.problems import MEDIA_TYPE, Problem

log = logging.getLogger(__name__)

_CODES = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found",
          405: "method_not_allowed", 406: "not_acceptable", 408: "request_timeout",
          413: "too_large"}  # fmt: skip


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for the statuses, besides those every call may answer with."""
    return {
        status: {"model": ProblemDocument, "content": {MEDIA_TYPE: {}}, "description": "A problem document"}
        for status in (400, 401, 403, 408, 413, 422, 429, 503, *statuses)
    }


def to_response(problem: Problem) -> JSONResponse:
    """The problem as an HTTP response."""
    headers = {}
    retry_after = 1.0 if problem.status == 503 and problem.retry_after is None else problem.retry_after
    if retry_after is not None:
        headers["Retry-After"] = str(math.ceil(retry_after))
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(problem.to_json(), problem.status, headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(BrokerError, _on_broker_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_bug)


async def _on_broker_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, BrokerError)
    return to_response(error.problem)


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    places = [
        f"{'.'.join(str(part) for part in item['loc'] if part != 'body') or 'body'}: {item['msg']}"
        for item in error.errors()
    ]
    sent = request.headers.get("content-type", "")
    if request.method in ("POST", "PUT") and "json" not in sent:
        places.append(f"send the body with Content-Type: application/json, not {sent or 'none'}")
    malformed = any(item["type"] == "json_invalid" for item in error.errors())
    return to_response(Problem("bad_request" if malformed else "invalid", "; ".join(places)))


async def _on_http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    problem = Problem(_CODES.get(error.status_code, "bad_request"), str(error.detail))
    response = to_response(problem)
    response.headers.update(error.headers or {})
    return response


async def _on_bug(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return to_response(Problem("internal", "the broker failed; its log has the details"))
