"""`python -m kernel_broker`: serve until told to stop, or until idle for long enough."""

import argparse
import asyncio
import ctypes
import logging
import signal
import socket
import ssl
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from kernel_broker import __version__
from kernel_broker.api.connections import HEAD_BYTES, prompt_protocol
from kernel_broker.app import make_app, rekey_store
from kernel_broker.options import Settings, SettingsError, describe_settings
from kernel_broker.pool.sandbox import SandboxRefused, probe
from kernel_broker.sessions.service import Sessions
from kernel_broker.settings import read_settings
from kernel_broker.store.contract import StoreUnavailable

log = logging.getLogger("kernel_broker")

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_FREE = 32 * 2**20
_PR_SET_DUMPABLE = 4
_LAST_WORDS = 5
"""Seconds that readers are given to take the end of a cell that was stopped by the shutdown."""


class Activity:
    """ASGI wrapper that knows when the broker was last asked for anything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open = 0
        self._last = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the request while it is open."""
        self._open += scope["type"] == "http"
        try:
            await self._app(scope, receive, send)
        finally:
            self._open -= scope["type"] == "http"
            self._last = time.monotonic()

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last request ended; 0 while one is open."""
        return 0.0 if self._open else time.monotonic() - self._last


class Server(uvicorn.Server):
    """Closes the sessions while it waits for its connections: a stream that follows one ends with it."""

    sessions: Sessions

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, close the sessions, wait for the connections, end the application."""
        closing = asyncio.create_task(self.sessions.close())
        await super().shutdown(sockets)
        if self.force_exit:
            closing.cancel()
        else:
            await closing


async def serve(settings: Settings) -> None:
    """Serve until a signal comes, or until idle for `idle_exit` seconds."""
    app = make_app(settings)
    activity = Activity(app)
    config = uvicorn.Config(
        activity,
        host=settings.host,
        port=settings.port,
        uds=settings.uds or None,
        log_level=settings.log_level,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=int(settings.grace) + _LAST_WORDS,
        timeout_keep_alive=75,
        http=prompt_protocol(settings.header_time),
        h11_max_incomplete_event_size=HEAD_BYTES,
        server_header=False,
        ws="none",
        **_tls(settings),
    )
    try:
        config.load()
    except (OSError, ValueError) as error:  # also that of the TLS library
        raise SettingsError(
            f"KERNEL_BROKER_TLS_CERT, TLS_KEY or TLS_CLIENT_CA cannot be used: {error}"
        ) from error
    server = Server(config)
    server.sessions = app.state.sessions
    # Before anything else, so that a refusal is the one thing that is said.
    app.state.layers, _ = await asyncio.gather(probe(app.state.sandbox), app.state.store.open())
    async with asyncio.TaskGroup() as tasks:
        watcher = None
        if settings.idle_exit:
            watcher = tasks.create_task(
                _stop_when_idle(server, activity, app.state.sessions, settings.idle_exit)
            )
        await server.serve()
        if watcher is not None:
            watcher.cancel()
    if not server.started:
        raise SystemExit(3)


def _tls(settings: Settings) -> dict[str, Any]:
    if not settings.tls_cert:
        return {}
    asked = ssl.CERT_REQUIRED if settings.tls_client_ca else ssl.CERT_NONE
    return {
        "ssl_certfile": settings.tls_cert,
        "ssl_keyfile": settings.tls_key,
        "ssl_ca_certs": settings.tls_client_ca or None,
        "ssl_cert_reqs": asked,
    }


async def _stop_when_idle(
    server: uvicorn.Server, activity: Activity, sessions: Sessions, limit: float
) -> None:
    while activity.idle_seconds < limit or sessions.busy:  # noqa: ASYNC110  (every request moves the deadline)
        await asyncio.sleep(max(1.0, limit - activity.idle_seconds))
    log.info("idle for %g seconds; ending", limit)
    server.should_exit = True


def _keep_freed_memory() -> None:
    """Have glibc use memory of a few MiB again, instead of giving it back and faulting it in for every chunk.

    Chunks are read from the store more than twice as fast. What is kept is bounded.
    """
    with suppress(OSError, AttributeError):  # another C library
        set_option = ctypes.CDLL(None).mallopt
        set_option(_M_MMAP_THRESHOLD, _KEPT_FREE // 2)
        set_option(_M_TRIM_THRESHOLD, _KEPT_FREE)


def _hide_memory() -> None:
    """Let no process of this account read ours, nor our environment: it has the token and the store's URL."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def main() -> None:
    """Read the settings and serve."""
    _keep_freed_memory()
    parser = argparse.ArgumentParser(
        prog="python -m kernel_broker",
        description="Run a Serverless IPyKernel broker.",
        epilog=f"Settings, by environment:\n{describe_settings()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    rekeying = "rekey: seal all sessions at rest anew with the first of the encryption keys, and end"
    parser.add_argument("command", nargs="?", choices=["rekey"], help=rekeying)
    command = parser.parse_args().command
    try:
        settings = read_settings()
    except SettingsError as error:
        sys.exit(f"kernel_broker: {error}")
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("kernel_broker.audit").setLevel(logging.INFO)  # whatever else is not to be told
    for name in ("httpx", "httpcore"):  # they tell of every request, some with its headers
        logging.getLogger(name).setLevel(logging.WARNING)
    if settings.sandbox != "off":
        _hide_memory()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a parent that ignores it would hide our children's ends
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it again when all is done: exit with 0
    try:
        if command == "rekey":
            print(*asyncio.run(rekey_store(settings)), sep="\n")
            return
        asyncio.run(serve(settings))
    except (StoreUnavailable, SettingsError, SandboxRefused) as error:
        sys.exit(f"kernel_broker: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if settings.uds and command is None:
            Path(settings.uds).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
