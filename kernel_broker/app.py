"""The composition root: the only place where the broker's parts meet."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from kernel_broker import __version__
from kernel_broker.api import files, health, problems, revisions, runs, sessions
from kernel_broker.api.limits import BodyLimit
from kernel_broker.pool.folders import Folders
from kernel_broker.pool.pool import Pool, PoolLimits
from kernel_broker.pool.sandbox import Level, SandboxRules, guarded_paths
from kernel_broker.sessions.file_rules import FileLimits, FileRules, FilesMode
from kernel_broker.sessions.files import SessionFiles
from kernel_broker.sessions.revisions import Past
from kernel_broker.sessions.service import Sessions
from kernel_broker.sessions.surroundings import SessionLimits, Upkeep
from kernel_broker.settings import Settings, SettingsError
from kernel_broker.store.contract import History
from kernel_broker.store.open import open_store

log = logging.getLogger(__name__)

DESCRIPTION = "Jupyter kernels that cost nothing while idle: run cells in durable sessions over HTTP."


def make_app(settings: Settings) -> FastAPI:
    """The broker as an ASGI application."""
    try:
        store = open_store(settings.store_url, History(settings.revisions, settings.revisions_bytes))
    except ValueError as error:
        raise SettingsError(f"KERNEL_BROKER_STORE_URL: {error}") from error
    folders = Folders(Path(settings.files_dir))
    sandbox = _sandbox(settings)
    pool = Pool(settings.preloaded, PoolLimits(settings.spares, settings.workers), folders, sandbox)
    limits = _limits(settings)
    service = Sessions(store, pool, limits, _upkeep(settings), time.time)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            await folders.open()
            async with asyncio.TaskGroup() as tasks:
                forking = tasks.create_task(pool.run())
                async with service.open():
                    yield
                forking.cancel()
        finally:
            await folders.close()
            await store.close()

    app = FastAPI(
        title="Serverless IPyKernel", version=__version__, description=DESCRIPTION, lifespan=lifespan
    )
    app.state.store, app.state.pool, app.state.sessions = store, pool, service
    app.state.sandbox = sandbox
    app.state.token = settings.token or None
    app.state.runtime = lambda: (pool.info or {}).get("runtime")
    app.state.past = Past(store, time.time)
    app.state.files = SessionFiles(store, service, limits.files)
    app.add_middleware(BodyLimit, limit=settings.request_bytes, file_limit=settings.file_bytes)
    problems.install(app)
    for room in (health, sessions, runs, revisions, files):
        app.include_router(room.router)
    return app


def _limits(settings: Settings) -> SessionLimits:
    mode: FilesMode = "state" if settings.files == "state" else "host"
    rules = FileRules(mode, FileLimits(settings.files_bytes, settings.files_count, settings.file_bytes))
    return SessionLimits(
        lease_ttl=settings.lease_ttl,
        patience=settings.patience,
        line=settings.line,
        run_log=settings.run_log,
        output=settings.output,
        grace=settings.grace,
        files=rules,
        verify_idle=settings.verify_idle,
        state=settings.state_limit,
        recompute=settings.recompute == "on",
    )


def _sandbox(settings: Settings) -> SandboxRules:
    read = tuple(path for path in settings.sandbox_read.split(":") if path)
    store = settings.store_url.removeprefix("sqlite://")
    own = [settings.files_dir, settings.token_file, settings.uds, store if store.startswith("/") else ""]
    level: Level = "strict" if settings.sandbox == "strict" else "standard"
    return SandboxRules(
        "off" if settings.sandbox == "off" else level,
        settings.network,
        read,
        memory=settings.process_memory,
        file=settings.process_file,
        processes=settings.processes,
        guarded=guarded_paths(own),
    )


def _upkeep(settings: Settings) -> Upkeep:
    return Upkeep(
        worker_idle=settings.worker_idle,
        pinned_idle=settings.pinned_idle,
        session_ttl=settings.session_ttl,
    )
