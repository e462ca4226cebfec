"""A bound on request bodies, before anything reads them."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kernel_broker.api.problems import to_response
from kernel_broker.wire.problems import Problem


class BodyLimit:
    """ASGI middleware: a body over `limit` bytes, or a file over `file_limit`, is answered with 413."""

    def __init__(self, app: ASGIApp, limit: int, file_limit: int) -> None:
        self._app = app
        self._limits = {"PUT": (file_limit, "KERNEL_BROKER_FILE_BYTES")}  # only files are PUT
        self._default = limit, "KERNEL_BROKER_REQUEST_BYTES"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit, setting = self._limits.get(scope["method"], self._default)
        detail = f"the request is larger than {limit} bytes ({setting})"
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            await to_response(Problem("too_large", detail))(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, detail)  # FastAPI lets this one through its body parser
            return message

        await self._app(scope, counted, send)
