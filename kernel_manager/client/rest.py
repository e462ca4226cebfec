"""The async client: one method per call of the REST interface, on sessions by id."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

from kernel_broker.wire.events import Event
from kernel_broker.wire.ids import is_valid_id, new_run_id, new_session_id
from kernel_manager.client.connection import SILENCE, Connection
from kernel_manager.client.endpoint import Connect, Endpoint, fixed
from kernel_manager.client.files import AsyncFiles
from kernel_manager.client.stream import Opening, RunStream

_QUERIES: Final = frozenset(
    {
        "kernel_info_request",
        "comm_info_request",
        "complete_request",
        "inspect_request",
        "is_complete_request",
        "history_request",
    }
)
"""Requests that change nothing, and so may be sent twice."""


class AsyncClient:
    """A broker's client. Belongs to one event loop; use it as an async context manager, or `aclose` it.

    Every call waits up to `patience` seconds for a broker that is down, starting or draining, then raises
    `BrokerUnreachable` or what the broker said; other refusals are raised at once (see `errors`).
    """

    def __init__(
        self, connect: Connect | Endpoint, *, patience: float = 30.0, silence: float = SILENCE
    ) -> None:
        find = fixed(connect) if isinstance(connect, Endpoint) else connect
        self._connection = Connection(find, patience, silence)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection; runs go on in the broker."""
        await self._connection.aclose()

    async def runtime(self) -> dict[str, Any]:
        """What cells run on: Python, image, preloaded modules, the content of `kernel_info_reply`."""
        return await self._object("GET", "/v1/runtime")

    async def ready(self) -> dict[str, Any]:
        """Return if the broker can run cells now: its store answers, its workers are there. What it says."""
        return await self._object("GET", "/readyz")

    async def version(self) -> str:
        """The broker's version."""
        document = await self._object("GET", "/openapi.json")
        return str(document["info"]["version"])

    async def create_session(self, **body: Any) -> dict[str, Any]:
        """Create a session, or get one's own as it is if `session_id` exists."""
        named = {"session_id": new_session_id(), **{k: v for k, v in body.items() if v is not None}}
        return await self._object("POST", "/v1/sessions", body=named)

    async def session(self, session_id: str) -> dict[str, Any]:
        """The session's description."""
        return await self._object("GET", _path(session_id))

    async def sessions(self, owner: str | None = None) -> list[dict[str, Any]]:
        """One's own sessions, the most recently active first; for admins an `owner`'s, or all ('*')."""
        wanted = f"?owner={quote(owner, safe='')}" if owner is not None else ""
        answer = await self._object("GET", f"/v1/sessions{wanted}")
        sessions: list[dict[str, Any]] = answer["sessions"]
        return sessions

    async def delete_session(self, session_id: str) -> None:
        """End the session and forget its state."""
        await self._connection.request("DELETE", _path(session_id))

    def execute(self, session_id: str, code: str, **fields: Any) -> AsyncGenerator[Event, None]:
        """Run a cell, at most once; yields every event of its stream, over as many connections as it takes.

        `fields` are those of the REST call (`silent`, `run_id`, `timeout`, `header` ...). Besides the
        broker's events, `waiting` (seq -1, with `reason`) comes while the broker does not answer.
        Raises `RunLost` if the outcome cannot be known any more.
        """
        run_id = fields.pop("run_id", None) or new_run_id()
        body = {"code": code, "run_id": run_id, **fields}
        opening = Opening(_path(session_id, "execute"), body, repeat=True)
        return RunStream(self._connection, session_id, run_id=run_id, opening=opening).events()

    def message(self, session_id: str, body: dict[str, Any]) -> AsyncGenerator[Event, None]:
        """Send any other Jupyter request; yields the events of its answer.

        Only requests that change nothing are sent again when it is not known whether they arrived.
        """
        header = {"msg_id": new_run_id(), **(body.get("header") or {})}
        msg_type = body.get("msg_type") or header.get("msg_type")
        run_id = header["msg_id"] if is_valid_id(header["msg_id"]) else None
        opening = Opening(
            _path(session_id, "messages"), {**body, "header": header}, repeat=msg_type in _QUERIES
        )
        return RunStream(self._connection, session_id, run_id=run_id, opening=opening).events()

    def attach(self, session_id: str, run_id: str, after: int = -1) -> AsyncGenerator[Event, None]:
        """Follow a run from the event after number `after`; run id `background` follows stray output."""
        return RunStream(self._connection, session_id, run_id=run_id, after=after).events()

    async def input(self, session_id: str, value: str) -> None:
        """Answer the cell that waits in `input()`."""
        await self._connection.request(
            "POST", _path(session_id, "input"), body={"value": value}, repeat=False
        )

    async def interrupt(self, session_id: str) -> None:
        """Interrupt the running cell, as Ctrl-C would."""
        await self._connection.request("POST", _path(session_id, "interrupt"), repeat=False)

    async def restart(self, session_id: str) -> dict[str, Any]:
        """A fresh namespace under the same id."""
        return await self._object("POST", _path(session_id, "restart"))

    async def evict(self, session_id: str) -> dict[str, Any]:
        """Drop the warm worker; the committed state stays."""
        return await self._object("POST", _path(session_id, "evict"))

    def files(self, session_id: str, ensure: Callable[[], Awaitable[None]] | None = None) -> AsyncFiles:
        """The session's working files; `ensure` is awaited before each call."""
        return AsyncFiles(self._connection, session_id, ensure)

    async def revisions(self, session_id: str) -> list[dict[str, Any]]:
        """The revisions of the session that are kept, oldest first; the last one is the head."""
        answer = await self._object("GET", _path(session_id, "revisions"))
        revisions: list[dict[str, Any]] = answer["revisions"]
        return revisions

    async def variables(self, session_id: str) -> list[dict[str, Any]]:
        """The session's variables: name, type, preview, size, the cell that bound each, what is pinned."""
        answer = await self._object("GET", _path(session_id, "variables"))
        found: list[dict[str, Any]] = answer["variables"]
        return found

    async def checkout(self, session_id: str, revision: int) -> dict[str, Any]:
        """Go back to a kept revision: it becomes the head again, as a new one."""
        return await self._object("POST", _path(session_id, "checkout"), body={"revision": revision})

    async def fork(self, session_id: str, **body: Any) -> dict[str, Any]:
        """Start a new session from a kept `revision` of this one (the last one unless given)."""
        named = {"session_id": new_session_id(), **{k: v for k, v in body.items() if v is not None}}
        return await self._object("POST", _path(session_id, "fork"), body=named)

    async def _object(self, method: str, path: str, *, body: Any = None) -> dict[str, Any]:
        answer: dict[str, Any] = await self._connection.request(method, path, body=body)
        return answer


def _path(session_id: str, *rest: str) -> str:
    return "/".join(("/v1/sessions", quote(session_id, safe=""), *rest))
