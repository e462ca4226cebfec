"""The broker's settings as they are: the only reader of the environment, and read once."""

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from kernel_broker.options import PREFIX, Settings, SettingsError, all_settings
from kernel_broker.pool.sandbox import LEVELS, parse_network
from kernel_broker.store.redis_url import parse_sentinel

_REDIS = 6379
"""Where Redis listens if nothing else is said."""


def default_store_url() -> str:
    """The embedded store in the user's data directory."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return f"sqlite://{base}/serverless-ipykernel/store.db"


def default_files_dir() -> str:
    """A folder of the user's own among the temporary ones."""
    return str(Path(tempfile.gettempdir()) / f"serverless-ipykernel-{os.getuid()}")


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of an environment; raises `SettingsError`."""
    values: dict[str, Any] = {}
    secrets = [f"{PREFIX}{item.name.upper()}" for item in all_settings() if item.metadata.get("secret")]
    for item in all_settings():
        name = PREFIX + item.name.upper()
        raw = environ.get(name)
        if raw is None and item.name == "port":
            raw = environ.get("PORT")
        if name in secrets:
            raw = _read_secret(name, raw, environ)
        if raw is not None:
            values[item.name] = _convert(item.name, raw, type(item.default))
    files = [f"{name}_FILE" for name in secrets]
    known = {PREFIX + item.name.upper() for item in all_settings()}.union(files)
    unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise SettingsError(f"unknown setting {', '.join(unknown)}; --help lists those there are")
    read = tuple(path for name in files if (path := environ.get(name)))
    return _resolve(Settings(**values, secret_files=read))


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
    values["files_dir"] = str(Path(settings.files_dir or default_files_dir()).resolve())
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
    values |= _sandbox(settings)
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


def _sandbox(settings: Settings) -> dict[str, str]:
    """The level and the network that hold; what would lead cells to the store or the broker is refused."""
    level = settings.sandbox or ("strict" if settings.files == "state" else "off")
    if level not in LEVELS:
        raise SettingsError(f"{PREFIX}SANDBOX must be strict, standard or off")
    try:
        network = parse_network(settings.network or ("none" if level == "strict" else "open"))
    except ValueError as error:
        raise SettingsError(f"{PREFIX}NETWORK: {error}") from None
    if level == "off" and network != "open":
        raise SettingsError(
            f"{PREFIX}NETWORK is kept by a sandbox: set {PREFIX}SANDBOX to strict or standard"
        )
    ours = {settings.port: "the broker's own"} if not settings.uds else {}
    ours |= dict.fromkeys(_store_ports(settings.store_url), "the store's")
    for port in map(int, re.findall(r"\d+", network)):
        if port in ours:
            raise SettingsError(f"{PREFIX}NETWORK: port {port} is {ours[port]}, which no cell may reach")
    if level == "strict":
        _check_doors(settings, network)
    return {"sandbox": level, "network": network}


def _check_doors(settings: Settings, network: str) -> None:
    """What cells can connect to must ask who they are: sockets with a path are not kept from them."""
    scheme, _, rest = settings.store_url.partition("://")
    has_password = ":" in rest.rpartition("@")[0]
    by_path = scheme == "unix"
    if (settings.uds or network == "open") and not settings.knows_callers:
        raise SettingsError(
            f"cells could connect to the broker ({PREFIX}{'UDS' if settings.uds else 'NETWORK=open'}): set "
            f"{PREFIX}TOKEN, or another way to tell who asks"
        )
    if (by_path or (scheme.startswith("redis") and network != "none")) and not has_password:
        raise SettingsError(
            f"cells could connect to the store: put a password in {PREFIX}STORE_URL"
            + ("" if by_path else f", or set {PREFIX}NETWORK=none")
        )


def _store_ports(url: str) -> set[int]:
    """TCP ports that the store is known to listen at."""
    scheme, _, rest = url.partition("://")
    if scheme == "redis+sentinel":
        try:
            return {port for _, port in parse_sentinel(url).nodes} | {
                _REDIS
            }  # that of the masters is not said
        except ValueError as error:
            raise SettingsError(f"{PREFIX}STORE_URL: {error}") from None
    if not scheme.startswith("redis"):
        return set()
    given = re.search(r":(\d+)$", rest.partition("/")[0].rpartition("@")[2])
    return {int(given[1]) if given else _REDIS}
