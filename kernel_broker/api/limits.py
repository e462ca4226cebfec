"""Bounds on request bodies, before anything reads them."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kernel_broker.api.problems import to_response
from kernel_broker.wire.problems import Problem


class BodyLimit:
    """ASGI middleware: a body over `limit` bytes, or a file over `file_limit`, is answered with 413.

    One that has not arrived after `seconds` is answered with 408.
    """

    def __init__(self, app: ASGIApp, limit: int, file_limit: int, seconds: float) -> None:
        self._app = app
        self._limits = {"PUT": (file_limit, "KERNEL_BROKER_FILE_BYTES")}  # only files are PUT
        self._default = limit, "KERNEL_BROKER_REQUEST_BYTES"
        self._seconds = seconds

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
        whole = False
        deadline = asyncio.get_running_loop().time() + self._seconds

        async def counted() -> Message:
            nonlocal received, whole
            message = await (receive() if whole else self._in_time(receive, deadline))
            whole = not message.get("more_body", False)
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, detail)  # FastAPI lets this one through its body parser
            return message

        await self._app(scope, counted, send)

    async def _in_time(self, receive: Receive, deadline: float) -> Message:
        try:
            async with asyncio.timeout_at(deadline):
                return await receive()
        except TimeoutError:
            told = f"the body did not arrive within {self._seconds:g} seconds (KERNEL_BROKER_BODY_TIME)"
            raise HTTPException(408, told, {"Connection": "close"}) from None
