"""When the session's state is taken, and what comes of it: one capture at a time is on its way to the store.

    worker → broker   amend (the members of `done` that say what changed) · verified
    broker → worker   committed {ok} · verify

After a request, what it may have changed is taken with its `done`. When nobody has asked for anything for a
moment everything is looked at again, and what was missed (or was changed by a thread meanwhile) is sent as an
`amend`; the broker refuses it if a request is on its way. What was not committed is in the next capture. A
request that comes during that look ends it: it begins anew when the session is idle again, or is to go cold.
"""

import asyncio
import contextvars
import queue
from collections.abc import Callable
from typing import Any

from kernel_broker.wire.frames import Frame
from kernel_broker.worker import report
from kernel_broker.worker.exchange import Exchange
from kernel_broker.worker.state.chunks import Stop, never
from kernel_broker.worker.state.engine import Delta, StateEngine
from kernel_broker.worker.state.errors import GivenUp

Json = dict[str, Any]


class Commits:
    """Called on the main thread, but for `on_committed`. `tell` sends a frame with what is known besides."""

    def __init__(
        self, engine: StateEngine, exchange: Exchange, tell: Callable[[str, Json, list[bytes]], None]
    ) -> None:
        self._engine = engine
        self._exchange = exchange
        self._tell = tell
        self._answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._calm = asyncio.Event()
        self._calm.set()
        self._settled = True
        self._failed = False
        self._unverified = self._captured = False
        self._given_up = 0
        """Looks at everything that were left for later since the last request."""

    def on_committed(self, frame: Frame) -> None:
        """The broker's word on the last capture, on the control thread; `hear` follows on the main one."""
        self._answers.put(frame.head["ok"])

    def hear(self) -> None:
        """Take in what the broker has said."""
        while not self._answers.empty():
            self._conclude(self._answers.get())

    def _await_answer(self) -> None:
        """A capture is made against what is committed: first it must be known what is."""
        while not self._calm.is_set() or not self._answers.empty():
            self._conclude(self._answers.get())

    async def calm(self) -> None:
        """Wait until it is known what came of the last capture: what runs is counted from there."""
        await self._calm.wait()

    def _conclude(self, ok: bool) -> None:
        self._settled = ok
        self._exchange.settle()
        if ok and not self._failed:
            self._engine.acknowledge()
        self._calm.set()

    @property
    def wants_verification(self) -> bool:
        """Whether there is something that was only looked at quickly, and all that was sent is stored."""
        return self._unverified and self._settled and self._calm.is_set()

    def after_request(self, head: Json, everything: bool) -> None:
        """Send the request's `done`, with what has changed; of `everything`, or what its code could reach."""
        self._begin()
        head["given_up"], self._given_up = self._given_up, 0
        delta = self._engine.capture(self._exchange.put, everything)
        self._send("done", head, delta)
        self._captured = True
        if delta.lost:
            self._engine.told()
        self._unverified = True

    def verify(self, stop: Stop = never) -> bool:
        """Look at everything again; whether something was found and sent.

        It is left for later when `stop` says so. Before the first request there is nothing to be found, and
        what the store has lost is not to be written as lost before the user has heard of it.
        """
        if not self._captured:
            return False
        self._begin()
        try:
            delta = self._engine.verify(self._exchange.put, stop)
        except GivenUp:
            self._exchange.forget()
            self._given_up += 1
            return False
        self._unverified = False
        if delta.refused is not None or delta.failed:
            return False
        if not (delta.put or delta.delete or delta.add or delta.drop):
            self._engine.acknowledge()
            return False
        self._send("amend", {}, delta)
        return True

    def _begin(self) -> None:
        """Get ready for a capture."""
        self._await_answer()
        self._exchange.forget()
        self._exchange.report_lost(self._engine.lost_chunks)

    def _send(self, kind: str, head: Json, delta: Delta) -> None:
        head = head | report.changes(delta)
        self._failed = delta.failed
        if delta.refused is None:
            self._exchange.flush()
            self._calm.clear()
        self._tell(kind, head, list(delta.put.values()) if delta.refused is None else [])


class Idler:
    """Calls back on the main loop when nothing has happened there for a while."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, context: contextvars.Context, call: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._context = context
        self._call = call
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, seconds: float) -> None:
        """Count from now."""
        self.stop()
        self._timer = self._loop.call_later(seconds, self._call, context=self._context)

    def stop(self) -> None:
        """Something happens."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
