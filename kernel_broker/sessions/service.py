"""All sessions at this pod: create, find, run, end; and what is done to them in the background."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from kernel_broker.errors import BrokerError, Conflict, NotFound, Unavailable
from kernel_broker.pool.pool import Pool
from kernel_broker.sessions.creation import NewSession
from kernel_broker.sessions.document import DocumentDamaged
from kernel_broker.sessions.live import LiveSession
from kernel_broker.sessions.ownership import Caller, find_own, find_record
from kernel_broker.sessions.quotas import Quotas
from kernel_broker.sessions.replay import lost
from kernel_broker.sessions.run import Bounds, Request, Run
from kernel_broker.sessions.runlog import RunLog
from kernel_broker.sessions.surroundings import SessionLimits, Surroundings, Upkeep
from kernel_broker.sessions.view import view, warm_until
from kernel_broker.store.contract import SessionMissing, SessionRecord, StaleLease, Store, StoreUnavailable
from kernel_broker.store.unreadable import Unreadable
from kernel_broker.wire.identity import EVERYBODY
from kernel_broker.wire.ids import Revision, RunId, SessionId

log = logging.getLogger(__name__)

Json = dict[str, Any]


class Sessions:
    """The sessions this pod knows; cold ones live in the store alone."""

    def __init__(
        self,
        store: Store,
        pool: Pool,
        limits: SessionLimits,
        upkeep: Upkeep,
        clock: Callable[[], float],
        quotas: Quotas,
    ) -> None:
        self._store = store
        self._pool = pool
        self._limits = limits
        self._upkeep = upkeep
        self._clock = clock
        self._quotas = quotas
        self._live: dict[SessionId, LiveSession] = {}
        self._around = Surroundings(store, pool, secrets.token_hex(8), limits, clock, self._spawn)
        self._tasks: asyncio.TaskGroup | None = None
        self._draining = False

    # -- life ------------------------------------------------------------------------------------

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Serve for the block; at its end running cells may finish within the grace, then all is let go."""
        async with asyncio.TaskGroup() as self._tasks:
            upkeep = self._tasks.create_task(self._keep_up())
            try:
                yield
            finally:
                upkeep.cancel()
                await self.close()

    async def close(self) -> None:
        """Take no new cell, let those that run end within the grace, stop the rest; release every lease."""
        self._draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.grace):
                await self._each(LiveSession.evict)
        await self._each(lambda live: live.end("the broker is shutting down"))

    async def _each(self, let_go: Callable[[LiveSession], Coroutine[Any, Any, None]]) -> None:
        work = map(let_go, list(self._live.values()))
        for result in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(result, Exception):
                log.warning("a session could not be let go: %s", result)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> object:
        assert self._tasks is not None
        return self._tasks.create_task(_guarded(work))

    @property
    def busy(self) -> bool:
        """Whether any request of any session is being worked on."""
        return any(live.state == "running" or live.has_background for live in self._live.values())

    @property
    def counts(self) -> dict[str, int]:
        """Sessions at this pod by state (cold ones that are only in the store are not counted)."""
        states = [live.state for live in self._live.values()]
        return {state: states.count(state) for state in ("running", "warm", "cold")}

    @property
    def draining(self) -> bool:
        """Whether the pod is shutting down."""
        return self._draining

    # -- sessions --------------------------------------------------------------------------------

    async def create(self, new: NewSession) -> tuple[Json, bool]:
        """Create a session, or return the owner's own that has the id; the second value says if it is new."""
        runtime = (self._pool.info or {}).get("runtime", {})
        record = new.record(self._limits, runtime, self._clock(), self._upkeep.session_ttl)
        async with self._quotas.room_for(new.caller, new.session_id):
            is_new = await self._store.create(record)
        if is_new:
            return self._view(record), True
        existing = await find_own(self._store, new.caller, new.session_id)
        if existing is None:
            raise Conflict("this session id is taken; choose another", code="session_id_taken")
        return self._view(existing), False

    async def describe(self, caller: Caller, session_id: SessionId) -> Json:
        """One session; raises `NotFound`."""
        return self._view(await self._record(caller, session_id))

    async def list(self, caller: Caller, owner: str | None = None) -> list[Json]:
        """An owner's sessions (None: the caller's), or everybody's ('*'), the most recently active first.

        Those that cannot be read are left out.
        """
        if owner not in (None, caller.owner) and not caller.is_admin:
            raise BrokerError("only an admin may list the sessions of others", code="forbidden")
        wanted = None if owner == EVERYBODY else owner or caller.owner
        views, damaged = [], []
        for record in await self._store.list(wanted):
            try:
                views.append(self._view(record))
            except DocumentDamaged:
                damaged.append(record.session_id)
        if damaged:
            log.warning(
                "%d session(s) cannot be read and are not listed, %s one of them", len(damaged), damaged[0]
            )
        return views

    async def delete(self, caller: Caller, session_id: SessionId) -> None:
        """End a session and forget its state."""
        with suppress(Unreadable):
            await self._record(caller, session_id)
        live = self._live.pop(session_id, None)
        if live is not None:
            await live.end("the session was deleted")
        await self._store.delete(session_id)

    async def restart(self, caller: Caller, session_id: SessionId) -> Json:
        """A fresh namespace under the same id."""
        live = await self._get(caller, session_id)
        await live.restart()
        return self._view(live.tenure.record)

    async def evict(self, caller: Caller, session_id: SessionId) -> Json:
        """Drop the warm worker; the committed state stays."""
        record = await self._record(caller, session_id)
        live = self._live.get(session_id)
        if live is not None:
            await live.evict()
            record = await self._record(caller, session_id)
        return self._view(record)

    async def checkout(self, caller: Caller, session_id: SessionId, revision: Revision) -> Json:
        """Make a kept revision the head; the next cell starts from it."""
        live = await self._get(caller, session_id)
        await live.checkout(revision)
        return self._view(live.tenure.record)

    def runs_cell(self, session_id: SessionId) -> bool:
        """Whether a cell of the session runs at this pod."""
        live = self._live.get(session_id)
        return live is not None and live.runs_cell

    async def interrupt(self, caller: Caller, session_id: SessionId) -> None:
        """Interrupt what runs; nothing happens if nothing does."""
        live = await self._here(caller, session_id)
        if live is not None:
            await live.interrupt()

    async def answer_input(self, caller: Caller, session_id: SessionId, value: str) -> None:
        """Hand a line to the cell that waits for one."""
        live = await self._get(caller, session_id)
        await live.answer_input(value)

    # -- runs ------------------------------------------------------------------------------------

    async def start(self, caller: Caller, session_id: SessionId, run_id: RunId, request: Request,
                    timeout: float | None = None) -> RunLog:  # fmt: skip  # noqa: ASYNC109
        """Begin a run, or find the one that has the id already; its log."""
        live = await self._get(caller, session_id)
        known = live.find(run_id)
        if known is not None and not live.may_start(run_id):
            return known
        if self._draining:
            raise Unavailable("this pod is shutting down; try again", code="draining", retry_after=1)
        bounds = Bounds(timeout, self._limits.run_log, self._limits.output)
        run = Run(session_id, run_id, request, bounds)
        if request.msg_type == "execute_request":  # on the control channel, too
            run.release = self._quotas.begin_cell(caller)
        live.start(run)
        return run.log

    async def attach(self, caller: Caller, session_id: SessionId, run_id: RunId) -> RunLog:
        """The log of a run: from memory, or what was stored of it when it finished."""
        live = await self._here(caller, session_id)
        found = live.find(run_id) if live is not None else None
        if found is not None:
            return found
        record = await self._record(caller, session_id)  # what is here may be left of an earlier owner's
        stored = await self._store.get_run(session_id, run_id)
        if stored is None:
            raise NotFound(f"no run {run_id!r} is known in this session", code="run_not_found")
        if not stored.finished:
            raise lost(record.revision)
        return RunLog.restored(stored.log)

    # -- inside ----------------------------------------------------------------------------------

    async def _record(self, caller: Caller, session_id: SessionId) -> SessionRecord:
        return await find_record(self._store, caller, session_id)

    async def _here(self, caller: Caller, session_id: SessionId) -> LiveSession | None:
        """The session if it is at this pod: then the store need not answer; raises `NotFound`."""
        live = self._live.get(session_id)
        if live is not None and caller.may_use(live.tenure.record):
            return live
        await self._record(caller, session_id)
        return None  # one of another owner's is what is left of a session that was deleted elsewhere

    async def _get(self, caller: Caller, session_id: SessionId) -> LiveSession:
        live = self._live.get(session_id)
        if live is not None and caller.may_use(live.tenure.record):
            return live
        record = await self._record(caller, session_id)
        live = self._live.get(session_id)
        if live is not None and live.tenure.record.owner != record.owner:
            live.lose()  # deleted elsewhere: the id is another owner's now
            del self._live[session_id]
        return self._live.setdefault(session_id, LiveSession(record, self._around))

    def _view(self, record: SessionRecord) -> Json:
        live = self._live.get(record.session_id)
        if live is not None and live.tenure.record.owner != record.owner:
            live = None  # deleted elsewhere: the id is another owner's now
        if live is not None and live.tenure.revision > record.revision:
            record = replace(record, revision=live.tenure.revision, doc=live.tenure.record.doc)
        return view(record, live, self._upkeep)

    async def _keep_up(self) -> None:
        """Renew leases, drop idle workers, collect garbage, until cancelled."""
        tick = max(0.1, min(self._limits.lease_ttl / 3, self._upkeep.worker_idle))
        next_collection = self._clock() + self._upkeep.collect_every
        while True:
            await asyncio.sleep(tick)
            for session_id, live in list(self._live.items()):
                await self._tend(session_id, live)
            if self._clock() >= next_collection:
                next_collection = self._clock() + self._upkeep.collect_every
                with suppress(StoreUnavailable):
                    await self._store.collect(self._clock(), self._upkeep.collect_grace)

    async def _tend(self, session_id: SessionId, live: LiveSession) -> None:
        live.forget_old_runs()
        try:
            until = warm_until(live, self._upkeep)
            if live.state == "warm" and until is not None and self._clock() > until:
                self._spawn(live.evict())
            await live.tenure.renew()
        except (StaleLease, SessionMissing):
            if live.tenure.held:  # else it has just been let go here
                log.warning("session %s was taken over by another pod, or deleted there", session_id)
                live.lose()
        except StoreUnavailable:
            log.warning("the store does not answer; leases cannot be renewed")
        except Exception:
            log.exception("session %s could not be looked after", session_id)
        if live.forgettable and self._live.get(session_id) is live:
            del self._live[session_id]


async def _guarded(work: Coroutine[Any, Any, None]) -> None:
    """One session's bug must not end the others, which share its group of tasks."""
    try:
        await work
    except Exception:
        log.exception("a task failed")
