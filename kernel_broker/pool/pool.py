"""The pod's workers: spares forked ahead of need, handed over, replaced, ended."""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import Any

from kernel_broker.errors import Unavailable
from kernel_broker.pool.folders import Folders
from kernel_broker.pool.handle import Worker
from kernel_broker.pool.sandbox import SandboxRules, own_folders
from kernel_broker.pool.zygote import Zygote

log = logging.getLogger(__name__)

_RESTART_DELAY = 1.0


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many workers: `spares` are kept forked and unassigned, `workers` in all at most."""

    spares: int = 2
    workers: int = 256


class Pool:
    """Owns the zygote and every worker. `run` keeps both going until it is cancelled."""

    def __init__(
        self,
        preload: tuple[str, ...],
        limits: PoolLimits,
        folders: Folders | None = None,
        sandbox: SandboxRules | None = None,
    ) -> None:
        self._preload = preload
        self._limits = limits
        self._folders = folders
        self._sandbox = sandbox or SandboxRules()
        self._zygote: Zygote | None = None
        self._spares: deque[Worker] = deque()
        self._workers: set[Worker] = set()
        self._wanted = asyncio.Event()
        self._up = asyncio.Event()
        self._failure: str | None = None
        self._clearing: deque[asyncio.Future[None]] = deque(maxlen=64)
        """Removals of what spares that ended have left."""

    @property
    def info(self) -> dict[str, Any] | None:
        """The zygote's `kernel_info` and `runtime`; None until it is up."""
        return self._zygote.info if self._zygote is not None and self._up.is_set() else None

    @property
    def failure(self) -> str | None:
        """Why the zygote cannot be started; None if it can."""
        return self._failure

    @property
    def warm(self) -> float:
        """The share of the wanted spares that are ready, from 0 to 1."""
        return (
            min(1.0, len(self._spares) / self._limits.spares)
            if self._limits.spares
            else float(self._up.is_set())
        )

    @property
    def counts(self) -> dict[str, int]:
        """Workers now: `spare` and `assigned`."""
        return {"spare": len(self._spares), "assigned": self._alive - len(self._spares)}

    async def run(self) -> None:
        """Keep a zygote alive and the spares filled; ends everything when cancelled."""
        while True:
            zygote = self._zygote = Zygote(self._preload, self._on_exit, self._sandbox)
            try:
                await zygote.start()
                async with asyncio.TaskGroup() as tasks:
                    refill = tasks.create_task(self._refill(zygote))
                    status = await zygote.wait()
                    refill.cancel()
                self._failure = f"the process that forks workers ended with status {status}; see the log"
                log.error("zygote ended with status %s; starting another", status)
            finally:
                await self._drop_all(zygote)
            await asyncio.sleep(_RESTART_DELAY)

    async def acquire(self, patience: float, folder: str | None = None, cwd: str | None = None) -> Worker:
        """A worker that belongs to nobody yet, a spare if there is one. Hand it back with `release`.

        With a `folder` wanted, it has one of that name to itself; else it works in `cwd`, to which a strict
        sandbox must be opened from the start. Waits up to `patience` seconds for the zygote to be up;
        raises `Unavailable`.
        """
        if folder is None:
            return (
                await self._acquire_for(cwd, patience)
                if self._sandbox.strict
                else await self._acquire(patience)
            )
        assert self._folders is not None
        if self._sandbox.strict:
            worker = await self._acquire(patience)
            try:
                worker.folder, worker.draft = await self._folders.take(folder, worker.draft), None
            except BaseException:
                await self.release(worker)
                raise
            return worker
        taken = await self._folders.take(folder)
        try:
            worker = await self._acquire(patience)
        except BaseException:
            await taken.remove()
            raise
        worker.folder = taken
        return worker

    async def _acquire_for(self, cwd: str | None, patience: float) -> Worker:
        """A worker that is shut in with a folder of the host."""
        admitted = self._sandbox.admit(cwd) if cwd is not None else None
        worker = await self._acquire(patience, admitted)
        if cwd is not None and admitted is None:
            worker.problem = f"the sandbox does not open the working directory {cwd!r}; using one of its own"
        return worker

    async def _acquire(self, patience: float, work: str | None = None) -> Worker:
        while self._spares and work is None:
            worker = self._spares.popleft()
            self._wanted.set()
            if worker.exit is None:
                return worker
        if self._alive >= self._limits.workers:
            raise Unavailable(
                f"all {self._limits.workers} workers of this pod are in use",
                code="workers_unavailable",
                retry_after=5,
            )
        try:
            async with asyncio.timeout(patience):
                await self._up.wait()
        except TimeoutError:
            reason = self._failure or "the pod is still loading its libraries"
            raise Unavailable(f"no worker is ready: {reason}", retry_after=1) from None
        assert self._zygote is not None
        return await self._fork(self._zygote, work)

    async def release(self, worker: Worker) -> None:
        """End a worker that was acquired, and its folder. A worker is never used for a second session."""
        self._workers.discard(worker)
        await worker.close()
        if worker.folder is not None or worker.home is not None:
            await worker.wait_exit()
            await worker.remove_folders()

    async def _refill(self, zygote: Zygote) -> None:
        try:
            await asyncio.shield(zygote.up)
        except Unavailable:
            return  # it ended while it was starting
        self._failure = None
        self._up.set()
        while True:
            self._wanted.clear()
            while len(self._spares) < self._limits.spares and self._alive < self._limits.workers:
                try:
                    self._spares.append(await self._fork(zygote))
                except Unavailable as error:
                    self._failure = error.problem.detail
                    log.error("no spare worker: %s", error)  # noqa: TRY400  (expected; no traceback wanted)
                    break
            await self._wanted.wait()

    async def _fork(self, zygote: Zygote, work: str | None = None) -> Worker:
        home = draft = own = None
        if self._sandbox.strict:
            assert self._folders is not None
            home = await self._folders.make()
            draft = await self._folders.make() if work is None else None
            own = own_folders(home.path, draft.path if draft is not None else work or "")
        try:
            worker = await zygote.fork(own)
        except BaseException:
            for folder in filter(None, (draft, home)):
                await folder.remove()
            raise
        worker.home, worker.draft = home, draft
        self._workers.add(worker)
        await worker.connect()
        return worker

    def _on_exit(self, worker: Worker) -> None:
        """A worker ended by itself. One that was acquired stays its holder's to release."""
        if worker in self._spares:
            log.warning("a spare worker ended: %s", worker.exit)
            self._spares.remove(worker)
            self._workers.discard(worker)
            worker.hang_up()
            self._clearing.append(asyncio.ensure_future(worker.remove_folders()))
        self._wanted.set()

    @property
    def _alive(self) -> int:
        return sum(worker.exit is None for worker in self._workers)

    async def _drop_all(self, zygote: Zygote) -> None:
        self._up.clear()
        spares, self._spares = set(self._spares), deque()
        await zygote.stop()
        workers, self._workers = self._workers, set()
        for worker in workers:
            await worker.close()
        for worker in spares:
            await worker.remove_folders()
