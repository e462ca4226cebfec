"""The broker's session behind one kernel: made when first needed, restarted, forgotten."""

import asyncio
import base64
import logging
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any, Final

from kernel_broker.wire.events import Event
from kernel_manager.bridge.request import Request
from kernel_manager.client.errors import KernelError
from kernel_manager.client.rest import AsyncClient

log = logging.getLogger(__name__)

Json = dict[str, Any]

_CELL_FIELDS: Final = ("code", "silent", "store_history", "user_expressions", "allow_stdin", "stop_on_error")
_SOON: Final = 2.0


class KernelSession:
    """One session, addressed through a client of its broker."""

    def __init__(self, client: AsyncClient, session_id: str, body: Json, *, fresh: bool = False) -> None:
        """`body` creates the session; `fresh`: what the id may hold from former times is not wanted."""
        self.client = client
        self.session_id = session_id
        self._body = body
        self._created = False
        self._stale = fresh
        """A restart is due that the broker has not heard of yet."""

    async def ensure(self) -> None:
        """Make the session if it is not there yet, and restart it if that is due."""
        if not self._created:
            session = await self.client.create_session(session_id=self.session_id, **self._body)
            self._created = True
            self._stale = self._stale and session["revision"] > 0
        if self._stale:
            await self.client.restart(self.session_id)
            self._stale = False

    def lose(self) -> bool:
        """The broker does not know the session; whether it did before (it expired, or was removed)."""
        known, self._created, self._stale = self._created, False, False
        return known

    async def restart(self) -> None:
        """A fresh namespace; a broker that is down hears of it before the next request."""
        if not self._created:
            return
        self._stale = True
        with suppress(KernelError, TimeoutError):
            async with asyncio.timeout(_SOON):
                await self.ensure()

    async def forget(self) -> None:
        """Delete the session, if there is one."""
        if not self._created:
            return
        self._created = False
        try:
            await self.client.delete_session(self.session_id)
        except KernelError as error:
            log.warning("session %s was not deleted and ends by its time to live: %s", self.session_id, error)

    async def describe(self) -> Json | None:
        """The session as it stands, without waking it; None if it has no namespace, or none answers soon."""
        if self._created and not self._stale:
            with suppress(KernelError, TimeoutError):
                async with asyncio.timeout(_SOON):
                    return await self.client.session(self.session_id)
        return None

    def perform(self, request: Request) -> AsyncGenerator[Event, None]:
        """Have a request carried out."""
        if request.is_cell:
            content = request.content
            fields = {name: content[name] for name in _CELL_FIELDS if content.get(name) is not None}
            fields |= {"header": request.header, "metadata": request.metadata}
            return self.client.execute(self.session_id, fields.pop("code", ""), **fields)
        body = {
            "channel": request.channel,
            "msg_type": request.msg_type,
            "header": request.header,
            "parent_header": request.parent_header,
            "metadata": request.metadata,
            "content": request.content,
            "buffers": [base64.b64encode(part).decode() for part in request.buffers],
        }
        return self.client.message(self.session_id, body)
