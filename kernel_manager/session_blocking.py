"""The same session for code that does not await: a thin front over `AsyncSession` on a loop of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, Unpack

from kernel_manager.cell import Call, ExecuteOptions, split_options
from kernel_manager.files_blocking import Files
from kernel_manager.loop_thread import LoopThread
from kernel_manager.results import Execution
from kernel_manager.session import AsyncSession, SessionBody


class Session:
    """A durable namespace that runs cells; see `AsyncSession` for the arguments.

    `with Session() as s: s.execute("1+1").text`. Works inside a running event loop too (in a notebook).
    Ctrl-C while a cell runs interrupts the cell, then raises KeyboardInterrupt here.
    """

    def __init__(
        self,
        session_id: str | None = None,
        *,
        url: str | None = None,
        token: str | None = None,
        keep: bool | None = None,
        **body: Unpack[SessionBody],
    ) -> None:
        self._session = AsyncSession(session_id, url=url, token=token, keep=keep, **body)
        self._loop = LoopThread(f"session {self.session_id}")

    def __enter__(self) -> Self:
        try:
            self._loop.run(self._session.open())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def session_id(self) -> str:
        """The session's id: `Session(session_id)` re-opens it, here or elsewhere."""
        return self._session.session_id

    @property
    def keep(self) -> bool:
        """Whether the session stays when this object is closed."""
        return self._session.keep

    @keep.setter
    def keep(self, keep: bool) -> None:
        self._session.keep = keep

    @property
    def files(self) -> Files:
        """Its working files, where they are part of its state."""
        return Files(self._session.files, self._loop)

    def close(self) -> None:
        """Let go of the session: delete it unless it is to be kept. Idempotent."""
        if self._loop.closed:
            return
        try:
            self._loop.run(self._session.aclose())
        finally:
            self._loop.close()

    def execute(
        self,
        code: str,
        *,
        timeout: float | None = None,
        run_id: str | None = None,
        raise_on_error: bool = False,
        **options: Unpack[ExecuteOptions],
    ) -> Execution:
        """Run a cell and return what it gave back; functions in `options` are called on this thread."""
        callbacks, _ = split_options(options)
        relay = _Relay(callbacks)
        relayed: Any = {**options, **{name: relay.to(name) for name in callbacks}}
        future = self._loop.submit(
            self._session.execute(
                code, timeout=timeout, run_id=run_id, raise_on_error=raise_on_error, **relayed
            )
        )
        future.add_done_callback(relay.finish)
        try:
            relay.serve()
        except KeyboardInterrupt:
            self._interrupt_and_wait(future, relay)
            raise
        except BaseException:
            future.cancel()
            raise
        return future.result()

    def complete(self, code: str, cursor_pos: int | None = None) -> dict[str, Any]:
        """Completions at the cursor (the end of `code` unless given)."""
        return self._loop.run(self._session.complete(code, cursor_pos))

    def inspect(self, code: str, cursor_pos: int | None = None, detail: int = 0) -> dict[str, Any]:
        """Documentation of the name at the cursor."""
        return self._loop.run(self._session.inspect(code, cursor_pos, detail))

    def request(self, msg_type: str, content: dict[str, Any], *, channel: str = "shell") -> dict[str, Any]:
        """Send any Jupyter request and return the content of its reply."""
        return self._loop.run(self._session.request(msg_type, content, channel=channel))

    def info(self) -> dict[str, Any]:
        """The session's description."""
        return self._loop.run(self._session.info())

    def interrupt(self) -> None:
        """Interrupt the running cell (from another thread)."""
        self._loop.run(self._session.interrupt())

    def restart(self) -> dict[str, Any]:
        """A fresh namespace under the same id."""
        return self._loop.run(self._session.restart())

    def evict(self) -> dict[str, Any]:
        """Drop the worker now; the next cell resumes from the committed state."""
        return self._loop.run(self._session.evict())

    def revisions(self) -> list[dict[str, Any]]:
        """The revisions that are kept, oldest first; the last one is the head."""
        return self._loop.run(self._session.revisions())

    def variables(self) -> list[dict[str, Any]]:
        """Name, type, preview and size of each variable, the cell that bound it, and what of it is pinned."""
        return self._loop.run(self._session.variables())

    def checkout(self, revision: int) -> dict[str, Any]:
        """Go back to a kept revision, with variables, history and saved files as they were."""
        return self._loop.run(self._session.checkout(revision))

    def fork(self, revision: int | None = None, name: str | None = None) -> "Session":
        """A new session that starts from a kept revision of this one (the last one unless given)."""
        child = Session.__new__(Session)
        child._session = self._loop.run(self._session.fork(revision, name))
        child._loop = LoopThread(f"session {child.session_id}")
        return child

    def delete(self) -> None:
        """End the session and forget its state."""
        self._loop.run(self._session.delete())

    def _interrupt_and_wait(self, future: Future[Execution], relay: "_Relay") -> None:
        """The first Ctrl-C stops the cell; a second one, while it ends, leaves it to itself."""
        try:
            self._loop.run(self._session.interrupt())
            relay.answer_pending("")
            wait([future])
        finally:
            future.cancel()


class _Relay:
    """Carries callbacks from the loop's thread to the caller's, in order."""

    def __init__(self, callbacks: dict[str, Callable[..., Any]]) -> None:
        self._callbacks = callbacks
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._pending: Future[str] | None = None

    def to(self, name: str) -> Callable[..., Awaitable[str] | None]:
        """What stands in for the callback of this name on the loop's thread."""

        def put(*args: Any) -> Awaitable[str] | None:
            answer = None
            if name == "on_input":
                self._pending = Future()
                answer = asyncio.wrap_future(self._pending)
            self._calls.put(Call(name, args))
            return answer

        return put

    def serve(self) -> None:
        """Call the callbacks as they come, until `finish`."""
        while (call := self._calls.get()) is not None:
            answer = self._callbacks[call.name](*call.args)
            if call.name == "on_input":
                self.answer_pending(str(answer))

    def answer_pending(self, value: str) -> None:
        """Give the cell that waits in `input()` its line."""
        if self._pending is not None and not self._pending.done():
            self._pending.set_result(value)

    def finish(self, _: Future[Execution]) -> None:
        """Nothing more will come."""
        self._calls.put(None)
