"""Where a session's namespace lives at the moment: a warm worker, or nowhere; and what it says unasked."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from kernel_broker.errors import BrokerError, Conflict
from kernel_broker.pool.handle import Worker, WorkerLost
from kernel_broker.sessions.revisions import describe_revisions
from kernel_broker.sessions.run import Outcome, Run
from kernel_broker.sessions.runlog import RunLog
from kernel_broker.sessions.surroundings import Surroundings
from kernel_broker.sessions.tenure import Tenure
from kernel_broker.sessions.warm import Ports, WarmWorker
from kernel_broker.wire.events import to_line
from kernel_broker.wire.messages import Message

log = logging.getLogger(__name__)

Json = dict[str, Any]
Amend = Callable[[Json, Sequence[bytes], bool], Awaitable[bool]]

_STRAY_TYPES = frozenset({"stream", "display_data", "update_display_data", "execute_result", "error",
                          "clear_output", "comm_open", "comm_msg", "comm_close", "debug_event"})  # fmt: skip
_STRAYS_KEPT = 1000
_STRAY_BYTES = 64 * 2**20


class Residence:
    """Makes the session warm when it is needed, and lets it go cold."""

    def __init__(self, tenure: Tenure, around: Surroundings, amend: Amend) -> None:
        self._tenure = tenure
        self._amend = amend
        self._around = around
        self._warm: WarmWorker | None = None
        self._strays: deque[Message] = deque()
        self._stray_bytes = 0
        self.background: RunLog | None = None
        """Output of threads and tasks that outlive their cell; None while there are none."""
        self._speaker: Run | None = None

    @property
    def warm(self) -> WarmWorker | None:
        """The worker that holds the namespace, if one does and lives."""
        return self._warm if self._warm is not None and self._warm.usable else None

    async def warm_up(self, run: Run) -> WarmWorker:
        """The warm worker, made from the committed state if need be; raises `BrokerError`, `WorkerLost`."""
        if self.warm is not None:
            if await self._tenure.make_sure(run):
                await self.warm.acknowledge()
            return self.warm
        await self.drop()
        await self._tenure.hold(run)
        await self._tenure.make_sure(run)
        self._check_runtime()
        around = self._around
        entries = await self._tenure.load(run)
        if around.pool.info is None:
            run.queue(1, "the pod is loading its libraries")
        wanted = self._tenure.session_id if self._tenure.document.files == "state" else None
        worker = await around.pool.acquire(around.limits.patience, wanted, self._tenure.document.cwd)
        ports = Ports(
            fetch=lambda ids: self._tenure.fetch(ids, run if run.outcome is None else self._speaker),
            keep=lambda chunks: self._tenure.keep(chunks, self._speaker),
            discard=self._tenure.discard,
            settle=self._tenure.settle,
            amend=self._amend,
            stray=self._stray,
            revisions=self._revisions,
            quiet=self.end_background,
        )
        self._warm = warm = WarmWorker(worker, ports)
        around.spawn(self._attend(warm))
        ready = await warm.enter(self._birth(worker), entries)
        if ready["failure"] is not None:
            await self.drop()
            raise _unreadable(ready["failure"], self._tenure)
        for problem in (worker.problem, ready["problem"]):
            if problem is not None:
                run.warn(problem)
        return warm

    async def _revisions(self) -> list[Json]:
        return describe_revisions(await self._tenure.revisions(self._speaker))

    def _birth(self, worker: Worker) -> Json:
        birth, rules = self._tenure.birth(), self._around.limits.files
        if worker.folder is None:
            return birth if worker.problem is None else {**birth, "cwd": None}
        limits = rules.within(self._tenure.document.limits)
        return {**birth, "cwd": str(worker.folder.path), "files": asdict(limits)}

    async def _attend(self, warm: WarmWorker) -> None:
        await warm.pump()
        await self._around.pool.release(warm.worker)
        if self._warm is warm:
            self.end_background()

    def _check_runtime(self) -> None:
        runtime = self._tenure.document.runtime
        saved = runtime.get("magic")
        here = ((self._around.pool.info or {}).get("runtime") or {}).get("magic", saved)
        if self._tenure.revision and saved is not None and saved != here:
            raise Conflict(
                f"the session was saved by Python {runtime.get('python')}, and this broker runs another "
                "version, which cannot load it; use a broker of that version, or restart the session for a "
                "fresh namespace",
                code="runtime_mismatch",
            )

    async def verify(self) -> None:
        """Have what the worker holds looked at once more and committed, within bounds."""
        warm = self.warm
        if warm is None or not self._tenure.held or not self._tenure.sure:
            return
        try:
            async with asyncio.timeout(self._around.limits.verify_grace):
                await warm.verify()
        except TimeoutError:
            log.warning("session %s: its state could not be looked at in time", self._tenure.session_id)
        except (BrokerError, WorkerLost) as error:
            log.warning("session %s: its state could not be looked at: %s", self._tenure.session_id, error)

    async def drop(self) -> None:
        """End the worker, a commit that is under way included; the committed state stays."""
        warm = self._warm
        if warm is None:
            return
        await warm.close()
        await self._around.pool.release(warm.worker)
        if self._warm is warm:
            self._warm = None
            self.end_background()

    def kill(self) -> None:
        """End the worker at once: what it holds is not the session any more."""
        if self._warm is not None:
            self._warm.abandon()

    @contextmanager
    def speak_through(self, run: Run) -> Iterator[None]:
        """What is said unasked, since the last run and for the block, goes out with this one, in order."""
        while self._strays:
            run.publish(self._strays.popleft())
        self._stray_bytes = 0
        self._speaker = run
        try:
            yield
        finally:
            self._speaker = None

    def begin_background(self) -> None:
        """The worker has threads or tasks that go on."""
        if self.background is None:
            self.background = RunLog(self._around.limits.run_log)

    def end_background(self) -> None:
        """They have ended, or their worker has."""
        background, self.background = self.background, None
        if background is not None:
            outcome = Outcome("ok", self._tenure.revision, self._tenure.document.execution_count)
            background.end(lambda seq: to_line("end", seq, **outcome.members()))

    def _stray(self, message: Message) -> None:
        if message.channel != "iopub" or message.msg_type not in _STRAY_TYPES:
            return
        if self._speaker is not None:
            self._speaker.publish(message)
        elif self.background is not None:
            self.background.append(message.to_line)
        else:
            self._strays.append(message)
            self._stray_bytes += message.size
            while len(self._strays) > _STRAYS_KEPT or self._stray_bytes > _STRAY_BYTES:
                self._stray_bytes -= self._strays.popleft().size


def _unreadable(failure: str, tenure: Tenure) -> BrokerError:
    return BrokerError(
        f"the session's state at revision {tenure.revision} cannot be brought back: {failure}. It stays in "
        "the store as it is; restart the session to go on with a fresh namespace",
        code="state_unreadable",
        revision=tenure.revision,
    )
