"""A session at this pod: its turn, its warm worker, its runs."""

import asyncio
import logging
from collections import deque
from typing import Any

from kernel_broker.errors import BrokerError, CellTimeout, Conflict, NotFound
from kernel_broker.pool.handle import WorkerLost
from kernel_broker.sessions.failures import Interrupted, as_broker_error, fail
from kernel_broker.sessions.run import Outcome, Request, Run, make_header
from kernel_broker.sessions.runlog import RunLog
from kernel_broker.sessions.surroundings import Surroundings
from kernel_broker.sessions.tenure import Tenure
from kernel_broker.sessions.turn import Turn
from kernel_broker.sessions.warm import Ports, WarmWorker
from kernel_broker.store.contract import RunRecord, SessionRecord, StaleLease
from kernel_broker.wire.events import read_line, to_line
from kernel_broker.wire.ids import RunId
from kernel_broker.wire.messages import Message

log = logging.getLogger(__name__)

Json = dict[str, Any]

_STRAY_TYPES = frozenset({"stream", "display_data", "update_display_data", "execute_result", "error",
                          "clear_output", "comm_open", "comm_msg", "comm_close"})  # fmt: skip
_STRAYS_KEPT = 1000


class LiveSession:
    """Runs the session's requests, one after another, on a worker that is warm or is made so."""

    def __init__(self, record: SessionRecord, around: Surroundings) -> None:
        self.tenure = Tenure(record, around)
        self._around = around
        self._turn = Turn(around.limits.line)
        self._warm: WarmWorker | None = None
        self._runs: dict[RunId, Run] = {}
        self._current: Run | None = None
        self._strays: deque[Message] = deque(maxlen=_STRAYS_KEPT)
        self._background: RunLog | None = None
        self._stopped_because: str | None = None
        self.last_used = around.clock()

    # -- what it is ------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """`running`, `warm` or `cold`."""
        if self._turn.taken:
            return "running"
        return "warm" if self._is_warm else "cold"

    @property
    def _is_warm(self) -> bool:
        return self._warm is not None and self._warm.lost is None

    @property
    def has_background(self) -> bool:
        """Whether threads or tasks of the user's may still publish."""
        return self._background is not None

    @property
    def forgettable(self) -> bool:
        """Whether nothing here is more than a copy of what the store has."""
        return self.state == "cold" and not self.tenure.held and not self._runs

    # -- runs ------------------------------------------------------------------------------------

    def find(self, run_id: RunId) -> RunLog | None:
        """The log of a run in memory; the id `background` names the stray output's."""
        if run_id == "background":
            return self._background
        run = self._runs.get(run_id)
        return run.log if run is not None else None

    def start(self, run: Run) -> None:
        """Begin a run: it goes on whoever reads its log."""
        self._runs[run.run_id] = run
        run.accept(self.tenure.revision)
        self.last_used = self._around.clock()
        if self._goes_beside(run):
            self._around.spawn(self._drive_beside(run))
        else:
            self._around.spawn(self._drive(run))

    def _goes_beside(self, run: Run) -> bool:
        """Control requests and comm messages reach a working worker at once; it keeps their order itself."""
        beside = run.request.channel == "control" or run.request.msg_type.startswith("comm_m")
        return beside and self._is_warm and self._current is not None and self._current.sent

    async def _drive(self, run: Run) -> None:
        try:
            async with self._turn.take(lambda place: run.queue(place, "another cell of this session runs")):
                self._current = run
                try:
                    await self._advance(run)
                finally:
                    self._current = None
        except BaseException as error:
            self._fail(run, error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._finished(run)

    async def _drive_beside(self, run: Run) -> None:
        try:
            assert self._warm is not None
            async with self._warm.perform(run) as done:
                run.conclude(await asyncio.shield(done))
        except Exception as error:  # every failure is the run's to tell
            self._fail(run, error)
        finally:
            self._finished(run)

    async def _advance(self, run: Run) -> None:
        self._refuse_if_stopped(run)
        warm = await self._warm_up(run)
        self._refuse_if_stopped(run)
        if run.executes:
            known = await self.tenure.begin(run)
            if known is not None:
                self._replay(run, known)
                return
        self._deliver_strays(run)
        outcome = await self._perform(warm, run)
        if outcome.background and self._background is None:
            self._background = RunLog(self._around.limits.run_log)
        run.conclude(outcome)

    async def _perform(self, warm: WarmWorker, run: Run) -> Outcome:
        async with warm.perform(run) as done:
            try:
                async with asyncio.timeout(run.timeout):
                    return await asyncio.shield(done)
            except TimeoutError:
                await self._stop_overdue(warm, run)
                raise CellTimeout(
                    f"the cell ran longer than its limit of {run.timeout:g} seconds and was stopped; the session "
                    f"stands at revision {self.tenure.revision}",
                    revision=self.tenure.revision,
                ) from None

    async def _stop_overdue(self, warm: WarmWorker, run: Run) -> None:
        await self._send_interrupt(warm)
        try:
            async with asyncio.timeout(self._around.limits.interrupt_grace):
                await asyncio.shield(run.done)
        except (TimeoutError, WorkerLost):
            await self._drop_worker()

    def _fail(self, run: Run, error: BaseException) -> None:
        if isinstance(error, StaleLease):
            self.lose()
        if isinstance(error, WorkerLost) and self._stopped_because is not None:
            error = Interrupted(self._stopped_because)
        if not isinstance(error, BrokerError | WorkerLost):
            if isinstance(error, Exception):
                log.error("run %s failed", run.run_id, exc_info=error)
            error = BrokerError("the broker failed; its log has the details", revision=self.tenure.revision)
        fail(run, as_broker_error(error, self.tenure), self.tenure)

    def _finished(self, run: Run) -> None:
        self.last_used = run.finished_at = self._around.clock()

    def _refuse_if_stopped(self, run: Run) -> None:
        if run.interrupted:
            raise Interrupted(self._stopped_because or "interrupted before the cell started")

    def _replay(self, run: Run, known: RunRecord) -> None:
        """The run has run before: tell what is known, and never run it again."""
        if not known.finished:
            raise Conflict(
                f"run {run.run_id!r} was started before and its outcome is not known; it is not run again. "
                f"The session stands at revision {self.tenure.revision}.",
                code="run_lost",
                revision=self.tenure.revision,
            )
        for line in known.log.splitlines():
            event = read_line(line)
            members = {name: value for name, value in event.items() if name not in ("event", "seq")}
            kind = event["event"]
            if kind != "accepted":
                add = run.log.end if kind == "end" else run.log.append
                add(lambda seq, kind=kind, members=members: to_line(kind, seq, **members))  # type: ignore[misc]

    # -- the worker ------------------------------------------------------------------------------

    async def _warm_up(self, run: Run) -> WarmWorker:
        if self._warm is not None and self._warm.lost is None:
            return self._warm
        await self._drop_worker()
        await self.tenure.hold(run)
        self._check_runtime()
        around, session_id = self._around, self.tenure.session_id
        entries = await around.store.entries(session_id)
        if around.pool.info is None:
            run.queue(1, "the pod is loading its libraries")
        worker = await around.pool.acquire(around.limits.patience)
        ports = Ports(
            fetch=lambda ids: around.store.get_chunks(session_id, ids),
            keep=lambda chunks: around.store.put_chunks(session_id, chunks),
            settle=self.tenure.settle,
            stray=self._stray,
            quiet=self._end_background,
        )
        self._warm = warm = WarmWorker(worker, ports)
        around.spawn(warm.pump())
        document = self.tenure.document
        birth = {
            "session_id": session_id,
            "key": document.key,
            "cwd": document.cwd,
            "env": document.env,
        }
        ready = await warm.enter(birth, entries)
        if ready.get("problem"):
            run.publish(
                run.answer(
                    "iopub", "stream", {"name": "stderr", "text": f"Serverless Python: {ready['problem']}\n"}
                )
            )
        return warm

    def _check_runtime(self) -> None:
        saved = self.tenure.document.runtime.get("magic")
        here = ((self._around.pool.info or {}).get("runtime") or {}).get("magic", saved)
        if self.tenure.revision and saved is not None and saved != here:
            raise Conflict(
                f"the session was saved by Python {self.tenure.document.runtime.get('python')}, and "
                "this broker runs another version, which cannot load it; use a broker of that version, or "
                "restart the session for a fresh namespace",
                code="runtime_mismatch",
            )

    async def _drop_worker(self) -> None:
        warm, self._warm = self._warm, None
        if warm is not None:
            await self._around.pool.release(warm.worker)
        self._end_background()

    # -- background output -----------------------------------------------------------------------

    def _stray(self, message: Message) -> None:
        if message.channel != "iopub" or message.msg_type not in _STRAY_TYPES:
            return
        if self._background is not None:
            self._background.append(message.to_line)
        else:
            self._strays.append(message)

    def _deliver_strays(self, run: Run) -> None:
        while self._strays:
            run.publish(self._strays.popleft())

    def _end_background(self) -> None:
        background, self._background = self._background, None
        if background is not None:
            outcome = Outcome("ok", self.tenure.revision, self.tenure.document.execution_count)
            background.end(lambda seq: to_line("end", seq, **outcome.members()))

    # -- what is done to it ----------------------------------------------------------------------

    async def interrupt(self) -> None:
        """Interrupt the run that has the turn; nothing happens if none has."""
        run = self._current
        if run is None:
            return
        if run.sent and self._warm is not None:
            await self._send_interrupt(self._warm)
        else:
            run.interrupted = True

    async def _send_interrupt(self, warm: WarmWorker) -> None:
        header = make_header("interrupt_request")
        await warm.post(Request("control", "interrupt_request", header, {}), header["msg_id"])

    async def answer_input(self, value: str) -> None:
        """Hand a line to the cell that asked for one."""
        run = self._current
        if run is None or not run.waiting_for_input or self._warm is None:
            raise Conflict("no cell of this session waits for input", code="not_waiting_for_input")
        run.waiting_for_input = False
        await self._warm.reply_to_input(value)

    async def restart(self) -> None:
        """A fresh namespace under the same id; whatever runs or waits is stopped."""
        await self._stop_all("the session was restarted")
        run = Run(self.tenure.session_id, RunId("restart"), Request("control", "", {"msg_id": ""}, {}))
        async with self._turn.take(lambda _: None):
            await self.tenure.reset(run)
            self._stopped_because = None

    async def evict(self) -> None:
        """Drop the warm worker once it is idle, and give the lease up."""
        async with self._turn.take(lambda _: None):
            await self._drop_worker()
            await self.tenure.release()

    async def end(self, because: str) -> None:
        """Stop everything, for good."""
        await self._stop_all(because)
        await self.tenure.release()

    async def _stop_all(self, because: str) -> None:
        self._stopped_because = because
        for run in self._runs.values():
            run.interrupted = True
        await self._drop_worker()

    def lose(self) -> None:
        """Another pod has the session now: what this worker holds is not the session any more."""
        self.tenure.lose()
        if self._warm is not None:
            self._warm.worker.kill()

    def forget_old_runs(self) -> None:
        """Let go of the logs of runs that ended a while ago."""
        horizon = self._around.clock() - self._around.limits.run_memory
        for run_id, run in list(self._runs.items()):
            if run.finished_at is not None and run.finished_at < horizon:
                del self._runs[run_id]

    def require(self, run_id: RunId) -> RunLog:
        """The log of a run; raises `NotFound`."""
        found = self.find(run_id)
        if found is None:
            raise NotFound(f"no run {run_id!r} in this session", code="run_not_found")
        return found
