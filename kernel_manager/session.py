"""A session as a Python object: create it or re-open it, run cells, look at it, let it go."""

import inspect as python_inspect
from collections.abc import Callable
from contextlib import aclosing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, Unpack
from weakref import WeakSet

from kernel_broker.wire.ids import new_run_id, new_session_id
from kernel_manager.cell import CellReader, ExecuteOptions, split_options
from kernel_manager.client.errors import NotWaitingForInput, SessionNotFound, to_error
from kernel_manager.client.files import AsyncFiles
from kernel_manager.client.rest import AsyncClient
from kernel_manager.connect import new_client
from kernel_manager.outputs import OutputLog
from kernel_manager.results import Execution
from kernel_manager.settings import read_settings


class SessionBody(TypedDict, total=False):
    """What a new session is made with."""

    name: str | None
    runtime: str | None
    env: dict[str, str] | None
    cwd: str | None
    """Working directory; with a local broker, the current one unless given."""
    limits: dict[str, Any] | None
    files: Literal["host", "state"] | None
    """Where its files are: in folders of the broker's host, or saved with its state."""
    recompute: bool | None
    """Whether variables that a move loses are made again by running their cells again."""
    idle_ttl: float | None
    """Seconds without use after which the broker forgets the session."""


class AsyncSession:
    """A durable namespace that runs cells. Belongs to one event loop.

    With `session_id` the session of that id is re-opened, or created under it, and kept when this object
    is closed; without, a new one is created and deleted again at the end, unless `keep` is true.
    `url` and `token` default to the SERVERLESS_KERNEL_* settings, and those to the local broker.
    """

    def __init__(
        self,
        session_id: str | None = None,
        *,
        url: str | None = None,
        token: str | None = None,
        keep: bool | None = None,
        client: AsyncClient | None = None,
        **body: Unpack[SessionBody],
    ) -> None:
        if unknown := body.keys() - SessionBody.__annotations__.keys():
            raise TypeError(f"a session has no {', '.join(sorted(unknown))}")
        settings = read_settings(url=url, token=token)
        if settings.endpoint is None and client is None and "cwd" not in body:
            body["cwd"] = str(Path.cwd())
        self.session_id: str = session_id or new_session_id()
        self.keep = keep if keep is not None else session_id is not None
        self._client = client or new_client(settings)
        self._owns_client = client is None
        self._address: dict[str, Any] = {"url": url, "token": token}
        self._body = body
        self._opened = False
        self._logs: WeakSet[OutputLog] = WeakSet()

    @property
    def files(self) -> AsyncFiles:
        """Its working files, where they are part of its state."""
        return self._client.files(self.session_id, self._ensure_open)

    async def __aenter__(self) -> Self:
        try:
            await self.open()
        except BaseException:
            await self._close_client()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def open(self) -> dict[str, Any]:
        """Create the session, or find it; returns its description. Called by itself when needed."""
        described = await self._client.create_session(session_id=self.session_id, **self._body)
        self._opened = True
        return described

    async def aclose(self) -> None:
        """Let go of the session: delete it unless it is to be kept, and close the connections."""
        try:
            if self._opened and not self.keep:
                await self.delete()
        finally:
            await self._close_client()

    async def execute(
        self,
        code: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the broker's limit, not this coroutine's
        run_id: str | None = None,
        raise_on_error: bool = False,
        **options: Unpack[ExecuteOptions],
    ) -> Execution:
        """Run a cell, at most once, and return what it gave back.

        `timeout` (seconds) interrupts the cell. `run_id` names the run: executing with the same one again
        never runs the cell twice. Functions in `options` are called while the cell runs.
        """
        await self._ensure_open()
        run_id = run_id or new_run_id()
        callbacks, fields = split_options(options)
        if timeout is not None:
            fields["timeout"] = timeout
        reader = CellReader(run_id, self._logs)
        events = self._client.execute(self.session_id, code, run_id=run_id, **fields)
        async with aclosing(events):
            async for event in events:
                for call in reader.read(event):
                    if (function := callbacks.get(call.name)) is not None:
                        answer = await _call(function, call.args)
                        if call.name == "on_input":
                            await self.send_input(answer)
        execution = reader.to_execution()
        return execution.raise_for_error() if raise_on_error else execution

    async def send_input(self, value: str) -> None:
        """Answer the cell that waits in `input()`; nothing happens if it waits no more."""
        with suppress(NotWaitingForInput):
            await self._client.input(self.session_id, str(value))

    async def complete(self, code: str, cursor_pos: int | None = None) -> dict[str, Any]:
        """Completions at the cursor (the end of `code` unless given): Jupyter's complete_reply."""
        pos = len(code) if cursor_pos is None else cursor_pos
        return await self.request("complete_request", {"code": code, "cursor_pos": pos})

    async def inspect(self, code: str, cursor_pos: int | None = None, detail: int = 0) -> dict[str, Any]:
        """Documentation of the name at the cursor: Jupyter's inspect_reply."""
        pos = len(code) if cursor_pos is None else cursor_pos
        content = {"code": code, "cursor_pos": pos, "detail_level": detail}
        return await self.request("inspect_request", content)

    async def request(
        self, msg_type: str, content: dict[str, Any], *, channel: str = "shell"
    ) -> dict[str, Any]:
        """Send any Jupyter request and return the content of its reply."""
        await self._ensure_open()
        body = {"channel": channel, "msg_type": msg_type, "content": content}
        reply: dict[str, Any] = {}
        events = self._client.message(self.session_id, body)
        async with aclosing(events):
            async for event in events:
                if event["event"] == "message" and event["channel"] == channel:
                    reply = event["content"]
                elif event["event"] == "end" and event.get("problem"):
                    raise to_error(event["problem"])
        return reply

    async def info(self) -> dict[str, Any]:
        """The session's description: state, revision, size, pinned variables ..."""
        await self._ensure_open()
        return await self._client.session(self.session_id)

    async def interrupt(self) -> None:
        """Interrupt the running cell."""
        await self._client.interrupt(self.session_id)

    async def restart(self) -> dict[str, Any]:
        """A fresh namespace under the same id."""
        await self._ensure_open()
        return await self._client.restart(self.session_id)

    async def evict(self) -> dict[str, Any]:
        """Drop the worker now; the next cell resumes from the committed state."""
        await self._ensure_open()
        return await self._client.evict(self.session_id)

    async def revisions(self) -> list[dict[str, Any]]:
        """The revisions that are kept, oldest first; the last one is the head."""
        await self._ensure_open()
        return await self._client.revisions(self.session_id)

    async def variables(self) -> list[dict[str, Any]]:
        """Name, type, preview and size of each variable, the cell that bound it, and what of it is pinned."""
        await self._ensure_open()
        return await self._client.variables(self.session_id)

    async def checkout(self, revision: int) -> dict[str, Any]:
        """Go back to a kept revision, with variables, history and saved files as they were."""
        await self._ensure_open()
        return await self._client.checkout(self.session_id, revision)

    async def fork(self, revision: int | None = None, name: str | None = None) -> "AsyncSession":
        """A new session that starts from a kept revision of this one (the last one unless given).

        It is this session's like any other new one: deleted when it is closed, unless `keep` is set.
        """
        await self._ensure_open()
        described = await self._client.fork(self.session_id, revision=revision, name=name)
        client = None if self._owns_client else self._client
        child = AsyncSession(described["session_id"], keep=False, client=client, **self._address)
        child._opened = True
        return child

    async def delete(self) -> None:
        """End the session and forget its state."""
        with suppress(SessionNotFound):
            await self._client.delete_session(self.session_id)
        self._opened = False

    async def _ensure_open(self) -> None:
        if not self._opened:
            await self.open()

    async def _close_client(self) -> None:
        if self._owns_client:
            await self._client.aclose()


async def _call(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    answer = function(*args)
    return await answer if python_inspect.isawaitable(answer) else answer
