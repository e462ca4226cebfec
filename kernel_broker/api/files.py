"""Routes of working files: list, download, upload, delete."""

import json
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import quote, unquote_to_bytes

from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import ClientDisconnect

from kernel_broker.api.identity.caller import CallerOf
from kernel_broker.api.models import FileList, FileView
from kernel_broker.api.problems import documented
from kernel_broker.api.sessions import SessionPath
from kernel_broker.errors import BrokerError
from kernel_broker.sessions.files import SessionFiles
from kernel_broker.wire.ids import SessionId
from kernel_broker.wire.pages import FileRecord


class _AnyPath(Convertor[str]):
    """The rest of the path, line breaks included: a file may have them in its name."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("any_path", _AnyPath())
router = APIRouter(prefix="/v1/sessions/{session_id}/files", tags=["files"])

FilePath = Annotated[
    str,
    Path(
        description="the file's path in the session's folder; its bytes are percent-encoded",
        pattern=r"^[^/]",
        max_length=4096,
    ),
]

_BYTES: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file's bytes", "content": _BYTES},
    206: {"description": "The bytes of the range asked for", "content": _BYTES},
}
_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": _BYTES}}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def _files(request: Request) -> SessionFiles:
    found: SessionFiles = request.app.state.files
    return found


def _path(request: Request) -> str:
    """The path as its bytes were sent: the parsed one has lost those that are no UTF-8."""
    raw: bytes = request.scope["raw_path"].split(b"?")[0].split(b"/", 5)[5]
    return unquote_to_bytes(raw).decode("utf-8", "surrogateescape")


@router.get("", response_model=FileList, responses=documented(404, 409, 500))
async def index(request: Request, session_id: SessionPath, caller: CallerOf) -> Response:
    """The session's files as last committed. In a path, U+DC80 to U+DCFF stand for bytes that are no text."""
    records = await _files(request).list(caller, SessionId(session_id))
    return _Json({"files": [_view(record) for record in records]})


@router.get(
    "/{path:any_path}",
    response_class=StreamingResponse,
    responses={**_CONTENT, **documented(404, 409, 416, 500)},
)
async def download(
    request: Request,
    session_id: SessionPath,
    path: FilePath,  # noqa: ARG001  (documents it; `_path` has the exact bytes)
    caller: CallerOf,
    range_: Annotated[str | None, Header(alias="Range", max_length=200)] = None,
) -> Response:
    """A file's bytes as last committed; one `bytes` range may be asked for."""
    files = _files(request)
    record = await files.find(caller, SessionId(session_id), _path(request))
    start, stop = _to_span(range_, record.size)
    pieces = files.read(caller, SessionId(session_id), record, start, stop)
    try:
        first = await anext(pieces, b"")  # what is wrong with the first bytes can still be said with a status
    except BaseException:
        await pieces.aclose()
        raise
    headers = {
        "Content-Length": str(stop - start),
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"attachment; filename*=UTF-8''{_quote(record.name)}",
    }
    partial = (start, stop) != (0, record.size)
    if partial:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{record.size}"
    return StreamingResponse(
        _all(first, pieces), 206 if partial else 200, headers, media_type="application/octet-stream"
    )


@router.put(
    "/{path:any_path}", response_model=FileView, openapi_extra=_BODY, responses=documented(404, 409, 429, 500)
)
async def upload(request: Request, session_id: SessionPath, path: FilePath, caller: CallerOf) -> Response:  # noqa: ARG001
    """Make a file of the body, or replace it, with the folders above it; refused while a cell runs."""
    try:
        record = await _files(request).write(caller, SessionId(session_id), _path(request), request.stream())
    except ClientDisconnect:
        raise BrokerError("the body was cut off; nothing was changed", code="bad_request") from None
    return _Json(_view(record))


@router.delete("/{path:any_path}", status_code=204, responses=documented(404, 409, 429, 500))
async def delete(request: Request, session_id: SessionPath, path: FilePath, caller: CallerOf) -> Response:  # noqa: ARG001
    """Remove a file, a link, or an empty folder."""
    await _files(request).delete(caller, SessionId(session_id), _path(request))
    return Response(status_code=204)


class _Json(JSONResponse):
    """In ASCII: a path may hold what UTF-8 cannot say."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":")).encode()


def _view(record: FileRecord) -> dict[str, Any]:
    view = {
        "path": record.path,
        "kind": record.kind,
        "size": record.size,
        "mode": record.mode,
        "mtime": record.mtime / 1e9,
    }
    return view | ({"target": record.target} if record.kind == "link" else {})


def _quote(name: str) -> str:
    return quote(name.encode("utf-8", "surrogateescape"), safe="")


def _to_span(header: str | None, size: int) -> tuple[int, int]:
    """The first byte wanted, and the one after the last; what is no plain range is ignored, as in HTTP."""
    found = _RANGE.fullmatch(header or "")
    if found is None or found.groups() == ("", ""):
        return 0, size
    first, last = found.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < start:
            return 0, size
    if start >= stop:
        raise BrokerError(f"the file has {size} bytes", code="range_not_satisfiable", size=size)
    return start, stop


async def _all(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
