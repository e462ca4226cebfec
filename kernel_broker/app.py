"""The composition root: the only place where the broker's parts meet."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fastapi import FastAPI
from starlette.types import Lifespan

from kernel_broker import __version__
from kernel_broker.api import files, health, problems, revisions, runs, sessions
from kernel_broker.api.headers import SecurityHeaders
from kernel_broker.api.identity.audit import Audit
from kernel_broker.api.identity.contract import Way
from kernel_broker.api.identity.door import Door
from kernel_broker.api.identity.one_token import OneToken
from kernel_broker.api.identity.token_file import TokenFile
from kernel_broker.api.limits import BodyLimit
from kernel_broker.options import Settings, SettingsError
from kernel_broker.pool.folders import Folders
from kernel_broker.pool.pool import Pool, PoolLimits
from kernel_broker.pool.sandbox import Level, SandboxRules, guarded_paths
from kernel_broker.sessions.file_rules import FileLimits, FileRules, FilesMode
from kernel_broker.sessions.files import SessionFiles
from kernel_broker.sessions.quotas import QuotaLimits, Quotas
from kernel_broker.sessions.revisions import Past
from kernel_broker.sessions.service import Sessions
from kernel_broker.sessions.surroundings import SessionLimits, Upkeep
from kernel_broker.store.contract import History, Store
from kernel_broker.store.open import open_store, sealed

log = logging.getLogger(__name__)

DESCRIPTION = "Jupyter kernels that cost nothing while idle: run cells in durable sessions over HTTP."


def make_store(settings: Settings) -> Store:
    """The store that is set, sealed if there are keys."""
    try:
        store = open_store(settings.store_url, History(settings.revisions, settings.revisions_bytes))
    except ValueError as error:
        raise SettingsError(f"KERNEL_BROKER_STORE_URL: {error}") from error
    try:
        return sealed(store, settings.encryption_keys)
    except ValueError as error:
        raise SettingsError(f"KERNEL_BROKER_ENCRYPTION_KEYS: {error}") from error


async def rekey_store(settings: Settings) -> list[str]:
    """Bring all sessions at rest under the first key; what to tell of it. Raises `BrokerError`."""
    # Imported here: they bring the cryptography that a store in plain text does without.
    from kernel_broker.store.rekey import rekey
    from kernel_broker.store.sealed import SealedStore

    store = make_store(settings)
    if not isinstance(store, SealedStore):
        raise SettingsError("KERNEL_BROKER_ENCRYPTION_KEYS names no key to bring sessions under")
    await store.open()
    try:
        return list((await rekey(store)).lines())
    finally:
        await store.close()


def make_app(settings: Settings) -> FastAPI:
    """The broker as an ASGI application."""
    store = make_store(settings)
    folders = Folders(Path(settings.files_dir))
    sandbox = _sandbox(settings)
    pool = Pool(settings.preloaded, PoolLimits(settings.spares, settings.workers), folders, sandbox)
    limits = _limits(settings)
    quotas = Quotas(_quotas(settings), store, time.monotonic)
    service = Sessions(store, pool, limits, _upkeep(settings), time.time, quotas)
    ways = _ways(settings)

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
            for way in ways:
                await way.close()

    app = _new_app(settings, lifespan)
    app.state.store, app.state.pool, app.state.sessions = store, pool, service
    app.state.sandbox = sandbox
    app.state.runtime = lambda: (pool.info or {}).get("runtime")
    app.state.past = Past(store, time.time, quotas)
    app.state.files = SessionFiles(store, service, limits.files)
    _add_middleware(app, settings, ways, quotas)
    problems.install(app)
    for room in (health, sessions, runs, revisions, files):
        app.include_router(room.router)
    return app


def _new_app(settings: Settings, lifespan: Lifespan[FastAPI]) -> FastAPI:
    return FastAPI(
        title="Serverless IPyKernel",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_url="/openapi.json" if settings.docs == "on" else None,
        redoc_url=None,  # one page that shows the document is enough
        swagger_ui_oauth2_redirect_url=None,
    )


def _add_middleware(app: FastAPI, settings: Settings, ways: list[Way], quotas: Quotas) -> None:
    """From the innermost to the outermost."""
    app.add_middleware(
        BodyLimit, limit=settings.request_bytes, file_limit=settings.file_bytes, seconds=settings.body_time
    )
    local_only = settings.local_only and not settings.uds and not settings.auth
    app.add_middleware(Door, ways=ways, count=quotas.count_request, local_only=local_only)
    app.add_middleware(Audit)
    app.add_middleware(SecurityHeaders)


def _quotas(settings: Settings) -> QuotaLimits:
    return QuotaLimits(settings.owner_sessions, settings.owner_cells, settings.owner_requests)


def _ways(settings: Settings) -> list[Way]:
    """The ways to tell who asks that are set; what costs a library is imported only for its own."""
    ways: list[Way] = []
    if settings.token:
        ways.append(OneToken(settings.token))
    if settings.tokens_file:
        try:
            ways.append(TokenFile(Path(settings.tokens_file)))
        except ValueError as error:
            raise SettingsError(f"KERNEL_BROKER_TOKENS_FILE: {error}") from error
    if settings.jwt_issuer:
        ways.append(_web_tokens(settings))
    if settings.hub_url:
        from kernel_broker.api.identity.fetch import Fetcher
        from kernel_broker.api.identity.hub import Hub

        if not settings.hub_url.startswith(("http://", "https://")):
            raise SettingsError("KERNEL_BROKER_HUB_URL must begin with http:// or https://")
        ways.append(Hub(settings.hub_url, settings.hub_ttl, Fetcher(), time.monotonic))
    return ways


def _web_tokens(settings: Settings) -> Way:
    try:
        from kernel_broker.api.identity.key_set import open_key_set
        from kernel_broker.api.identity.web_token import Claims, WebTokens
    except ModuleNotFoundError as error:
        told = f"KERNEL_BROKER_JWT_ISSUER needs {error.name}: pip install 'serverless-ipykernel[auth]'"
        raise SettingsError(told) from error
    try:
        keys = open_key_set(settings.jwt_keys, time.monotonic)
    except ValueError as error:
        raise SettingsError(f"KERNEL_BROKER_JWT_KEYS: {error}") from error
    claims = Claims(settings.jwt_issuer, settings.jwt_audience, settings.jwt_owner, settings.jwt_admin)
    return WebTokens(keys, claims)


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
    store = urlsplit(settings.store_url)
    own = [settings.files_dir, settings.uds, settings.tokens_file, settings.tls_key, *settings.secret_files]
    own.append(unquote(store.path) if store.scheme in ("sqlite", "unix") else "")
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
