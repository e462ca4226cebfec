"""The audit log: who changed what. One line of JSON for each call that may change something.

It never has tokens, code, or names of files: the call is named by its route.
"""

import json
import logging
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("kernel_broker.audit")

_LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})


class Audit:
    """ASGI middleware: writes the line when the answer begins (a streamed cell's: when it is accepted)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and note how it is answered."""
        if scope["type"] != "http" or scope["method"] in _LOOKS:
            await self._app(scope, receive, send)
            return
        noted = False

        async def noting(message: Message) -> None:
            nonlocal noted
            if message["type"] == "http.response.start" and not noted:
                noted = True
                _note(scope, message["status"], Headers(raw=message.get("headers", [])))
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:
            if not noted:  # the answer to a bug is made further out
                _note(scope, 500, Headers())
            raise


def _note(scope: Scope, status: int, headers: Headers) -> None:
    caller = scope.get("state", {}).get("caller")
    route = getattr(scope.get("route"), "path", None)
    session = scope.get("path_params", {}).get("session_id")
    line: dict[str, Any] = {
        "owner": None if caller is None else caller.owner,
        "admin": caller is not None and caller.is_admin,
        "call": f"{scope['method']} {route or 'refused at the door'}",
        "session": session,
        "status": status,
    }
    made = headers.get("location", "").rpartition("/")[2] if status == 201 else ""
    if made:
        line["made"] = made
    log.info("%s", json.dumps(line))
