"""A worker that holds a session's namespace: its frames are routed to runs, its states to the store."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from kernel_broker.errors import BrokerError
from kernel_broker.pool.handle import Exit, Worker, WorkerLost
from kernel_broker.sessions.claims import check_change, check_done, quoted
from kernel_broker.sessions.freight import Discard, Fetch, Intake, Keep, Supply
from kernel_broker.sessions.run import Outcome, Request, Run
from kernel_broker.wire.frames import Frame, FrameError
from kernel_broker.wire.messages import CHANNELS, Message

log = logging.getLogger(__name__)

_HELD: Final = 64
_HELD_BYTES: Final = 2**28
"""What is kept of answers until the state is committed: one reply and one status, if the worker is honest."""

_STARTED: Final = 256
"""What a worker may have asked for and not got yet."""

T = TypeVar("T")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ports:
    """What a warm worker may ask of its session."""

    fetch: Fetch
    """Chunks from the store."""
    keep: Keep
    """Chunks to the store."""
    discard: Discard
    """Chunks that the worker has found damaged, out of the store."""
    settle: Callable[[Run | None, Json, Sequence[bytes]], Awaitable[Outcome]]
    """A `done` frame: commit what it brings and say how the run ends."""
    amend: Callable[[Json, Sequence[bytes], bool], Awaitable[bool]]
    """An `amend` frame: commit what it brings, unless a run is on its way; whether it was committed.

    The last argument says that who has the session's turn waits for it.
    """
    stray: Callable[[Message], None]
    """A message that answers no run in flight."""
    revisions: Callable[[], Awaitable[list[Json]]]
    """The revisions that are kept, as a cell may see them."""
    quiet: Callable[[], None]
    """The session's background work has ended."""


class WarmWorker:
    """One worker in one session. `pump` must run as long as it is used."""

    def __init__(self, worker: Worker, ports: Ports) -> None:
        self.worker = worker
        self._ports = ports
        self._runs: dict[str, Run] = {}
        self._ready: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._intake = Intake(worker, ports.keep, ports.discard, self._spawn)
        self._supply = Supply(worker, ports.fetch, self._spawn)
        self._verified: asyncio.Future[None] | None = None
        self._trouble: BrokerError | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._started: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._over = asyncio.Event()
        self.lost: Exit | None = None

    @property
    def usable(self) -> bool:
        """Whether it holds the session and can be given requests."""
        return not self._closed and not self._over.is_set()

    async def enter(self, birth: Json, entries: Mapping[str, bytes]) -> Json:
        """Give the worker its session and state; its `ready` frame. Raises `WorkerLost`."""
        head = {**birth, "entries": list(entries)}
        await self.worker.send(Frame("birth", head, list(entries.values())))
        return await self._ready

    @asynccontextmanager
    async def perform(self, run: Run) -> AsyncIterator[asyncio.Future[Outcome]]:
        """Hand a request over; its answers reach the run for the block.

        Yields a future: resolved when the request is done and committed, or failed with `WorkerLost` or a
        `BrokerError`.
        """
        if self.lost is not None:
            raise WorkerLost(str(self.lost))
        self._runs[run.request.msg_id] = run
        try:
            await self.post(run.request, run.request.msg_id)
            run.sent = True
            yield run.done
        finally:
            self._runs.pop(run.request.msg_id, None)

    async def post(self, request: Request, msg_id: str) -> None:
        """Send a request whose answers nobody waits for here."""
        head = {"ch": request.channel, "type": request.msg_type, "id": msg_id}
        await self.worker.send(Frame("jupyter", head, request.parts()))

    async def reply_to_input(self, value: str) -> None:
        """Answer the worker's `input_request`."""
        await self.worker.send(Frame("stdin", {"value": value}))

    async def acknowledge(self) -> None:
        """The state that was captured last is in the store after all."""
        await self.worker.send(Frame("committed", {"ok": True}))

    async def verify(self) -> None:
        """Have the worker look at its whole state, and commit what it finds; the caller has the turn."""
        self._verified = asyncio.get_running_loop().create_future()
        try:
            await self.worker.send(Frame("verify"))
            await self._verified
        finally:
            self._verified = None

    def abandon(self) -> None:
        """End the worker; what it says from now on is not heard."""
        self._closed = True
        self.worker.kill()

    async def close(self) -> None:
        """The same, and wait for a commit that is under way: then nothing of it can reach the store."""
        self.abandon()
        self.worker.hang_up()
        await self._over.wait()

    async def pump(self) -> None:
        """Route frames until the worker is gone; then every request in flight fails with `WorkerLost`."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._listen()
                for task in self._started:
                    task.cancel()
        except* Exception:
            log.exception("what a worker asked for could not be done; ending the worker")
        finally:
            self._over.set()
            self.worker.kill()
            self.lost = await self.worker.wait_exit()
            self._fail(self._trouble or WorkerLost(str(self.lost)))

    async def _listen(self) -> None:
        try:
            async for frame in self.worker.frames():
                if self._closed:
                    break
                await self._route(frame)
        except WorkerLost:
            pass
        except Exception:
            log.exception("a worker's frame could not be handled; ending the worker")

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        assert self._tasks is not None
        if len(self._started) > _STARTED:
            work.close()
            raise FrameError("a worker asks for more at once than any of ours")
        task = self._tasks.create_task(work)
        self._started.add(task)
        task.add_done_callback(self._started.discard)
        return task

    def _end(self, trouble: BrokerError) -> None:
        """The worker cannot be given what it needs to hold the session."""
        self._trouble = trouble
        self.worker.kill()

    def _fail(self, error: Exception) -> None:
        waiting: list[asyncio.Future[Any]] = [self._ready, *(run.done for run in self._runs.values())]
        if self._verified is not None:
            waiting.append(self._verified)
        for future in waiting:
            if not future.done():
                future.set_exception(error)
                future.exception()

    async def _route(self, frame: Frame) -> None:
        match frame.kind:
            case "jupyter":
                await self._publish(frame)
            case "done":
                await self._settle(frame)
            case "amend":
                await self._amend(frame)
            case "verified":
                self._on_verified()
            case "ready" if not self._ready.done():
                self._ready.set_result(frame.head)
            case "ask":
                self._spawn(self._answer(frame.head["ask"]))
            case "quiet":
                self._ports.quiet()
            case "crashed":
                raise WorkerLost(f"it failed: {quoted(frame.head.get('traceback'))}")
            case _:
                await self._carry(frame)

    async def _carry(self, frame: Frame) -> None:
        match frame.kind:
            case "chunks":
                self._intake.take(frame.head)
            case "chunk":
                await self._intake.gather(frame.head["id"], frame.parts[0])
            case "lost":
                await self._intake.discard(frame.head["ids"])
            case "fetch":
                self._supply.begin(frame.head, None if self._ready.done() else self._end)
            case "read":
                self._supply.on_read(frame.head["slot"])
            case "enough":
                self._supply.end(frame.head["fetch"])

    async def _publish(self, frame: Frame) -> None:
        head = frame.head
        if head["ch"] not in CHANNELS or len(frame.parts) < 4:
            raise WorkerLost("it sent a malformed message")
        header, parent, metadata, content, *buffers = frame.parts
        message = Message(
            head["ch"], head["type"], head["parent"], header, parent, metadata, content, buffers
        )
        run = self._runs.get(message.parent_id)
        if run is None:
            self._ports.stray(message)
            return
        if message.channel == "stdin":
            run.waiting_for_input = True
        idle = message.msg_type == "status" and head.get("state") == "idle"
        if run.request.channel == "shell" and (idle or message.channel == "shell"):
            self._hold(run, message)
            return
        run.publish(message)
        if idle and run.request.channel == "control" and not run.done.done():
            run.done.set_result(await self._ports.settle(None, {}, ()))
        await run.log.room()

    def _hold(self, run: Run, message: Message) -> None:
        run.held.append(message)
        if len(run.held) > _HELD or sum(held.size for held in run.held) > _HELD_BYTES:
            raise FrameError("a worker answers a request more than once")

    async def _settle(self, frame: Frame) -> None:
        check_done(frame)
        run = self._runs.get(frame.head["msg_id"])
        committed = False
        try:
            await self._intake.settled()
            outcome = await self._ports.settle(run, frame.head, frame.parts)
            committed = True
            _raise_failure(frame.head["failure"])
            if run is not None and not run.done.done():
                run.done.set_result(outcome)
        except Exception as error:  # whatever it is, it is the run's to tell
            if run is not None and not run.done.done():
                run.done.set_exception(error)
        finally:
            if frame.head["commit"] is not None:
                await self.worker.send(Frame("committed", {"ok": committed}))

    async def _answer(self, number: int) -> None:
        try:
            head: Json = {"revisions": await self._ports.revisions()}
        except BrokerError as error:
            head = {"failure": str(error)}
        await self.worker.send(Frame("answer", {**head, "ask": number}))

    async def _amend(self, frame: Frame) -> None:
        check_change(frame)
        committed = False
        try:
            await self._intake.settled()
            committed = await self._ports.amend(frame.head, frame.parts, self._verified is not None)
        except BrokerError as error:
            log.warning("what a worker has found changed could not be committed: %s", error)
        finally:
            await self.worker.send(Frame("committed", {"ok": committed}))
            self._on_verified()

    def _on_verified(self) -> None:
        if self._verified is not None and not self._verified.done():
            self._verified.set_result(None)


def _raise_failure(failure: str | None) -> None:
    if failure is not None:
        log.error("a kernel could not handle a request: %s", quoted(failure))
        raise BrokerError("the kernel could not handle the request", code="kernel_failed")
