"""The broker's settings: the only reader of the environment, and read once.

Each is an environment variable `KERNEL_BROKER_<NAME>`; `python -m kernel_broker --help` lists them.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from kernel_broker.wire.identity import is_loopback

PREFIX = "KERNEL_BROKER_"


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it and says what is wanted."""


def default_store_url() -> str:
    """The embedded store in the user's data directory."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return f"sqlite://{base}/serverless-ipykernel/store.db"


def default_files_dir() -> str:
    """A folder of the user's own among the temporary ones."""
    return str(Path(tempfile.gettempdir()) / f"serverless-ipykernel-{os.getuid()}")


def setting(default: Any, text: str) -> Any:
    """A setting with its default and the line `--help` shows."""
    return field(default=default, metadata={"help": text})


def secret(text: str) -> Any:
    """A setting that may hold a secret: it is never shown, and `…_FILE` can name a file that has it."""
    return field(default="", repr=False, metadata={"help": text + " (or …_FILE)", "secret": True})


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set, with its default."""

    host: str = setting("127.0.0.1", "address to listen on")
    port: int = setting(8080, "port to listen on; PORT alone is honoured too; 0 picks a free one")
    uds: str = setting("", "path of a unix socket to listen on instead of host and port")
    tls_cert: str = setting("", "file of the certificate, with its chain, to serve HTTPS with")
    tls_key: str = setting("", "file of its private key")
    tls_client_ca: str = setting(
        "", "file of authorities, one of which must have signed a client's certificate"
    )
    store_url: str = secret("redis://…, rediss://…, redis+sentinel://…, or sqlite:///path (default: an "
                            "embedded store in the user's data directory)")  # fmt: skip
    encryption_keys: str = secret("keys that encrypt what is stored, NAME:BASE64 of 32 bytes, comma-"
                                  "separated: the first encrypts, all decrypt")  # fmt: skip
    auth: str = setting("", "'none': whoever reaches the broker may use it, also where others can reach it")
    token: str = secret("bearer token that opens everything")
    tokens_file: str = setting(
        "", "file of more tokens, a line each: `serverless-kernel token OWNER` makes one"
    )
    jwt_issuer: str = setting("", "who issues the JSON web tokens that are accepted (their `iss`)")
    jwt_audience: str = setting("", "whom those tokens must be meant for (their `aud`)")
    jwt_keys: str = setting("", "the issuer's public keys (JWKS): a file, or an https URL")
    jwt_owner: str = setting("sub", "the claim that names the owner")
    jwt_admin: str = setting("", "the claim that makes an admin: NAME if it is true, NAME=VALUE if it has it")
    hub_url: str = setting("", "REST API of the JupyterHub whose tokens are accepted, http(s)://…/hub/api")
    hub_ttl: float = setting(30.0, "seconds that its answer about a token holds")
    owner_sessions: int = setting(0, "sessions an owner may have; 0: any (quotas do not bind admins)")
    owner_cells: int = setting(0, "cells of an owner that may run or wait at this pod; 0: any")
    owner_requests: int = setting(0, "requests of an owner a minute at this pod; 0: any")
    preload: str = setting("auto", "modules the zygote imports, comma-separated; 'auto': those of numpy, "
                                   "pandas, matplotlib.pyplot that are installed; empty: none")  # fmt: skip
    spares: int = setting(2, "workers kept forked and ready")
    workers: int = setting(256, "workers at most")
    worker_idle: float = setting(900.0, "seconds until an idle warm worker is dropped (its state is kept)")
    pinned_idle: float = setting(
        14400.0, "the same for one that holds what cannot be carried (threads, sockets, ...)"
    )
    verify_idle: float = setting(
        0.5, "seconds after a run until its worker, if idle, looks at the whole state again; 0: never"
    )
    state_limit: int = setting(0, "bytes of state a session may have, unless it has its own limit; 0: any")
    revisions: int = setting(20, "last revisions of a session that are kept, the current one included")
    revisions_bytes: int = setting(
        256 * 2**20, "bytes that old revisions of a session may hold; the oldest ones go when they hold more"
    )
    session_ttl: float = setting(604800.0, "seconds without activity until a session is forgotten")
    lease_ttl: float = setting(10.0, "seconds until the lease of a pod that died can be taken")
    patience: float = setting(30.0, "seconds a cell waits for a worker or the store before it fails")
    line: int = setting(1000, "requests that may wait for one session")
    run_log: int = setting(16 * 2**20, "bytes of a run's output kept in memory for slow or late readers")
    output: int = setting(
        64 * 2**20, "bytes of output of one cell, to the next whole message; the rest is dropped, and said so"
    )
    request_bytes: int = setting(64 * 2**20, "bytes of a request's body at most")
    header_time: float = setting(20.0, "seconds in which a request's headers must arrive")
    body_time: float = setting(300.0, "seconds in which a request's body must arrive")
    docs: str = setting("on", "whether /docs and /openapi.json are shown: on or off")
    files: str = setting("host", "where cells work: 'host', in the folder the session names; 'state', in one "
                                 "whose files are saved with the session (for pods)")  # fmt: skip
    files_dir: str = setting("", "folder for the working directories of sessions whose files are saved with "
                                 "them (default: one in the system's temporary folder)")  # fmt: skip
    files_bytes: int = setting(2**30, "bytes of all files that are saved with a session")
    files_count: int = setting(10_000, "files and folders that are saved with a session")
    file_bytes: int = setting(256 * 2**20, "bytes of one file that is saved with a session, or sent to it")
    recompute: str = setting("off", "whether new sessions make lost variables again by running their cells "
                                    "again: on or off")  # fmt: skip
    idle_exit: float = setting(0.0, "seconds without any request or running cell until the broker ends "
                                    "itself; 0: never")  # fmt: skip
    grace: float = setting(
        30.0, "seconds that running cells are given to end when the broker is told to stop"
    )
    log_level: str = setting("info", "debug, info, warning or error")

    @property
    def preloaded(self) -> tuple[str, ...]:
        """The modules to preload, as names."""
        return tuple(name.strip() for name in self.preload.split(",") if name.strip())

    @property
    def knows_callers(self) -> bool:
        """Whether anything is set that tells who asks."""
        return bool(self.token or self.tokens_file or self.jwt_issuer or self.hub_url)

    @property
    def local_only(self) -> bool:
        """Whether it listens where programs of this machine alone can connect."""
        return bool(self.uds) or is_loopback(self.host)


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of an environment; raises `SettingsError`."""
    values: dict[str, Any] = {}
    for item in fields(Settings):
        raw = environ.get(PREFIX + item.name.upper())
        if raw is None and item.name == "port":
            raw = environ.get("PORT")
        if item.metadata.get("secret"):
            raw = _read_secret(PREFIX + item.name.upper(), raw, environ)
        if raw is not None:
            values[item.name] = _convert(item.name, raw, type(item.default))
    known = {PREFIX + item.name.upper() for item in fields(Settings)}
    known |= {f"{PREFIX}{item.name.upper()}_FILE" for item in fields(Settings) if item.metadata.get("secret")}
    unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise SettingsError(f"unknown setting {', '.join(unknown)}; --help lists those there are")
    settings = Settings(**values)
    return _resolve(settings)


def _read_secret(name: str, given: str | None, environ: Mapping[str, str]) -> str | None:
    path = environ.get(f"{name}_FILE")
    if not path:
        return given
    if given:
        raise SettingsError(f"set {name} or {name}_FILE, not both")
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"{name}_FILE cannot be read: {reason}") from error
    if not text:
        raise SettingsError(f"{name}_FILE is empty")
    return text


def _convert(name: str, raw: str, kind: type) -> Any:
    if kind is str:
        return raw
    try:
        value = kind(raw)
    except ValueError:
        raise SettingsError(f"{PREFIX}{name.upper()} must be a number, not {raw!r}") from None
    if value < 0:
        raise SettingsError(f"{PREFIX}{name.upper()} must not be negative")
    return value


def _resolve(settings: Settings) -> Settings:
    values = {item.name: getattr(settings, item.name) for item in fields(Settings)}
    values["files_dir"] = str(Path(settings.files_dir or default_files_dir()).absolute())
    values["store_url"] = settings.store_url or default_store_url()
    if settings.port > 65535:
        raise SettingsError(f"{PREFIX}PORT must be at most 65535")
    if settings.uds and not Path(settings.uds).parent.is_dir():
        raise SettingsError(f"{PREFIX}UDS: there is no folder {str(Path(settings.uds).parent)!r}")
    if settings.workers < 1:
        raise SettingsError(f"{PREFIX}WORKERS must be at least 1")
    if settings.files not in ("host", "state"):
        raise SettingsError(f"{PREFIX}FILES must be host or state")
    for name in ("header_time", "body_time"):
        if values[name] == 0:
            raise SettingsError(f"{PREFIX}{name.upper()} must be more than 0: no request would ever arrive")
    for name in ("recompute", "docs"):
        if values[name] not in ("on", "off"):
            raise SettingsError(f"{PREFIX}{name.upper()} must be on or off")
    if settings.log_level not in ("debug", "info", "warning", "error"):
        raise SettingsError(f"{PREFIX}LOG_LEVEL must be debug, info, warning or error")
    _check_identity(settings)
    return Settings(**values)


def _check_identity(settings: Settings) -> None:
    if settings.auth not in ("", "none"):
        raise SettingsError(f"{PREFIX}AUTH must be none, or not be set")
    if settings.auth and settings.knows_callers:
        raise SettingsError(
            f"{PREFIX}AUTH=none contradicts the settings that ask for a token; remove one of them"
        )
    if not (settings.auth or settings.knows_callers or settings.local_only):
        raise SettingsError(
            f"{PREFIX}HOST={settings.host} lets others connect, and nothing is set that tells who they are. "
            f"Set {PREFIX}TOKEN (one token for everything), {PREFIX}TOKENS_FILE, {PREFIX}JWT_ISSUER or "
            f"{PREFIX}HUB_URL; or {PREFIX}AUTH=none if whoever can connect may run code here"
        )
    if len({bool(settings.jwt_issuer), bool(settings.jwt_audience), bool(settings.jwt_keys)}) > 1:
        raise SettingsError(f"{PREFIX}JWT_ISSUER, {PREFIX}JWT_AUDIENCE and {PREFIX}JWT_KEYS are set together")
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise SettingsError(f"{PREFIX}TLS_CERT and {PREFIX}TLS_KEY are set together")
    if settings.tls_client_ca and not settings.tls_cert:
        raise SettingsError(f"{PREFIX}TLS_CLIENT_CA needs {PREFIX}TLS_CERT and {PREFIX}TLS_KEY")


def describe_settings() -> str:
    """One line for each setting, for `--help`."""
    lines = []
    for item in fields(Settings):
        default = f" [{item.default}]" if item.default not in ("", None) else ""
        lines.append(f"  {PREFIX}{item.name.upper():<15}{default} {item.metadata['help']}")
    return "\n".join(lines)
