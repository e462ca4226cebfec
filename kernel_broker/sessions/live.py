"""A session at this pod: its turn, its warm worker, its runs."""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from kernel_broker.errors import BrokerError, CellTimeout, Conflict
from kernel_broker.metrics import RUN_SECONDS, RUNS
from kernel_broker.pool.handle import WorkerLost
from kernel_broker.sessions.failures import Interrupted, as_broker_error, fail
from kernel_broker.sessions.replay import replay
from kernel_broker.sessions.residence import Residence
from kernel_broker.sessions.run import Outcome, Request, Run, make_header
from kernel_broker.sessions.runlog import RunLog
from kernel_broker.sessions.runs import Runs
from kernel_broker.sessions.surroundings import Surroundings
from kernel_broker.sessions.tenure import Tenure
from kernel_broker.sessions.turn import Turn
from kernel_broker.sessions.warm import WarmWorker
from kernel_broker.store.contract import (
    RevisionMismatch,
    RevisionMissing,
    SessionMissing,
    SessionRecord,
    StaleLease,
)
from kernel_broker.store.refusals import find_revision
from kernel_broker.wire.ids import Revision, RunId

log = logging.getLogger(__name__)

Json = dict[str, Any]


class LiveSession:
    """Runs the session's requests, one after another, on a worker that is warm or is made so."""

    def __init__(self, record: SessionRecord, around: Surroundings) -> None:
        self.tenure = Tenure(record, around)
        self._around = around
        self._turn = Turn(around.limits.line)
        self._residence = Residence(self.tenure, around, self._amend)
        self._runs = Runs(around.limits.run_log)
        self._current: Run | None = None
        self._stopped_because: str | None = None
        self.last_used = around.clock()

    # -- what it is ------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """`running`, `warm` or `cold`."""
        if self._turn.taken:
            return "running"
        return "warm" if self._residence.warm is not None else "cold"

    @property
    def runs_cell(self) -> bool:
        """Whether a cell has the turn."""
        return self._current is not None and self._current.executes

    @property
    def has_background(self) -> bool:
        """Whether threads or tasks of the user's may still publish."""
        return self._residence.background is not None

    @property
    def is_pinned(self) -> bool:
        """Whether its worker holds what cannot be carried to another one, or works on."""
        return self._residence.warm is not None and (bool(self.tenure.document.pinned) or self.has_background)

    @property
    def forgettable(self) -> bool:
        """Whether nothing here is more than a copy of what the store has."""
        return self.state == "cold" and not self.tenure.held and not self._runs

    # -- runs ------------------------------------------------------------------------------------

    def find(self, run_id: RunId) -> RunLog | None:
        """The log of a run in memory; the id `background` names the stray output's."""
        if run_id == "background":
            return self._residence.background
        return self._runs.find(run_id)

    def may_start(self, run_id: RunId) -> bool:
        """Whether no run has the id, or one that was refused before it began."""
        return self._runs.may_start(run_id)

    def start(self, run: Run) -> None:
        """Begin a run: it goes on whoever reads its log."""
        self._runs.begin(run)
        run.accept(self.tenure.revision)
        self.last_used = self._around.clock()
        if self._goes_beside(run):
            self._around.spawn(self._drive_beside(run))
        else:
            self._around.spawn(self._drive(run))

    def _goes_beside(self, run: Run) -> bool:
        """Control requests and comm messages reach a working worker at once; it keeps their order itself."""
        beside = run.request.channel == "control" or run.request.msg_type.startswith("comm_m")
        working = self._residence.warm is not None and self._current is not None and self._current.sent
        return beside and working

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
            warm = self._residence.warm
            assert warm is not None
            async with warm.perform(run) as done:
                run.conclude(await asyncio.shield(done))
        except Exception as error:  # every failure is the run's to tell
            self._fail(run, error)
        finally:
            self._finished(run)

    async def _advance(self, run: Run) -> None:
        self._refuse_if_stopped(run)
        warm = await self._residence.warm_up(run)
        self._refuse_if_stopped(run)
        if run.executes:
            known = await self.tenure.begin(run)
            self._refuse_if_stopped(run)
            if known is not None:
                replay(run, known, self.tenure.revision)
                return
        with self._residence.speak_through(run):
            outcome = await self._perform(warm, run)
        if outcome.checkout is not None:
            outcome = await self._go_back_after(run, outcome, outcome.checkout)
        if outcome.background:
            self._residence.begin_background()
        run.conclude(outcome)

    async def _go_back_after(self, run: Run, outcome: Outcome, revision: Revision) -> Outcome:
        """What `%checkout` asked for; if it cannot be, the session stays, and the cell says so."""
        try:
            await self._go_back(run, revision)
        except RevisionMissing as refusal:
            notice = f"Serverless Python: the session stays where it is: {refusal}."
            run.show_notice(notice)
            return replace(outcome, notices=[*outcome.notices, notice])
        return replace(outcome, revision=self.tenure.revision, background=False)

    async def _go_back(self, run: Run, revision: Revision) -> None:
        await self.tenure.hold(run)
        find_revision(self.tenure.session_id, await self.tenure.revisions(run), revision)
        await self._residence.verify()  # what is left behind can be gone to again
        await self._residence.drop()
        await self.tenure.checkout(revision, run)

    async def _amend(self, head: Json, parts: Sequence[bytes], is_awaited: bool) -> bool:
        """Commit what the worker has found changed; its finding is refused while a run is on its way."""
        if self._turn.taken and not is_awaited:
            return False
        try:
            async with nullcontext() if is_awaited else self._turn.take():
                await self.tenure.amend(head, parts)
        except (StaleLease, RevisionMismatch, SessionMissing):
            self.lose()
            raise
        return True

    async def _perform(self, warm: WarmWorker, run: Run) -> Outcome:
        async with warm.perform(run) as done:
            try:
                async with asyncio.timeout(run.timeout):
                    return await asyncio.shield(done)
            except TimeoutError:
                await self._stop_overdue(warm, run)
                raise CellTimeout(
                    f"the cell ran longer than its limit of {run.timeout:g} seconds and was stopped; the "
                    f"session stands at revision {self.tenure.revision}",
                    revision=self.tenure.revision,
                ) from None

    async def _stop_overdue(self, warm: WarmWorker, run: Run) -> None:
        await self._send_interrupt(warm)
        try:
            async with asyncio.timeout(self._around.limits.interrupt_grace):
                await asyncio.shield(run.done)
        except (TimeoutError, WorkerLost):
            await self._residence.drop()

    def _fail(self, run: Run, error: BaseException) -> None:
        if isinstance(error, StaleLease | RevisionMismatch | SessionMissing):
            self.lose()
        if isinstance(error, WorkerLost) and self._stopped_because is not None:
            error = Interrupted(self._stopped_because)
        if not isinstance(error, BrokerError | WorkerLost):
            if isinstance(error, Exception):
                log.error("run %s failed", run.run_id, exc_info=error)
            error = BrokerError("the broker failed; its log has the details", revision=self.tenure.revision)
        fail(run, as_broker_error(error, self.tenure), self.tenure)

    def _finished(self, run: Run) -> None:
        self.last_used = self._around.clock()
        self._runs.end(run, self.last_used)
        run.release()  # also one whose end was replayed
        if run.outcome is not None:
            RUNS.labels(run.outcome.status).inc()
            RUN_SECONDS.observe(time.monotonic() - run.accepted_at)

    def _refuse_if_stopped(self, run: Run) -> None:
        if run.interrupted:
            raise Interrupted(self._stopped_because or "interrupted before the cell started")

    # -- what is done to it ----------------------------------------------------------------------

    async def interrupt(self) -> None:
        """Interrupt the run that has the turn; nothing happens if none has."""
        run = self._current
        if run is None:
            return
        warm = self._residence.warm
        if run.sent and warm is not None:
            await self._send_interrupt(warm)
        else:
            run.interrupted = True

    async def _send_interrupt(self, warm: WarmWorker) -> None:
        header = make_header("interrupt_request")
        await warm.post(Request("control", "interrupt_request", header, {}), header["msg_id"])

    async def answer_input(self, value: str) -> None:
        """Hand a line to the cell that asked for one."""
        run = self._current
        warm = self._residence.warm
        if run is None or not run.waiting_for_input or warm is None:
            raise Conflict("no cell of this session waits for input", code="not_waiting_for_input")
        run.waiting_for_input = False
        await warm.reply_to_input(value)

    async def restart(self) -> None:
        """A fresh namespace under the same id; whatever runs or waits is stopped."""
        await self._stop_all("the session was restarted")
        run = Run(self.tenure.session_id, RunId("restart"), Request("control", "", {"msg_id": ""}, {}))
        async with self._turn.take():
            await self._residence.drop()  # a run that was on its way to a worker has made one meanwhile
            await self.tenure.reset(run)
            self._stopped_because = None

    async def checkout(self, revision: Revision) -> None:
        """Make a kept revision the head; the next cell starts from it."""
        if self.runs_cell:
            raise Conflict(
                "a cell of this session is running; wait for it, or interrupt it", code="session_running"
            )
        run = Run(self.tenure.session_id, RunId("checkout"), Request("control", "", {"msg_id": ""}, {}))
        async with self._turn.take():
            await self._go_back(run, revision)

    async def evict(self) -> None:
        """Drop the warm worker once it is idle, and give the lease up."""
        async with self._turn.take():
            await self._residence.verify()
            await self._residence.drop()
            await self.tenure.release()

    async def end(self, because: str) -> None:
        """Stop everything, for good."""
        await self._stop_all(because)
        await self.evict()

    async def _stop_all(self, because: str) -> None:
        self._stopped_because = because
        for run in self._runs:
            run.interrupted = True
        await self._residence.drop()

    def lose(self) -> None:
        """Another pod has the session now: what this worker holds is not the session any more."""
        self.tenure.lose()
        self._residence.kill()

    def forget_old_runs(self) -> None:
        """Let go of the logs of runs that ended a while ago."""
        self._runs.forget(self._around.clock() - self._around.limits.run_memory)
