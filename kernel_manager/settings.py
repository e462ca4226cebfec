"""The manager's settings; the only reader of its environment.

| variable                        | meaning                                                              |
|---------------------------------|----------------------------------------------------------------------|
| SERVERLESS_KERNEL_URL           | the broker's URL (http, https, or unix:/path); unset: a local broker |
| SERVERLESS_KERNEL_TOKEN         | bearer token for that URL                                            |
| SERVERLESS_KERNEL_TOKEN_FILE    | a file holding the token                                             |
| SERVERLESS_KERNEL_CA_FILE       | authorities to check its certificate against, not the system's       |
| SERVERLESS_KERNEL_CLIENT_CERT   | certificate and key to show to it, in one file                       |
| SERVERLESS_KERNEL_PATIENCE      | seconds to wait for a broker that is down or starting (30)           |
| SERVERLESS_KERNEL_RUNTIME_DIR   | where the local broker's socket, token and log are                   |
| KERNEL_BROKER_*                 | handed on to the local broker                                        |
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from kernel_manager.client.endpoint import Endpoint

PRODUCT: Final = "serverless-ipykernel"
KERNEL_NAME: Final = "serverless-python"
"""The kernelspec's name."""
_MAX_SOCKET_PATH: Final = 107
"""Bytes of a unix socket's path on Linux, less the closing zero."""
_SOCKET_NAME: Final = "broker.sock"

_PASSED_ON: Final = frozenset(
    {
        "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "SHELL", "SSL_CERT_DIR",
        "SSL_CERT_FILE", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV",
    }
)  # fmt: skip
_PASSED_ON_PREFIXES: Final = (
    "CONDA_", "CUDA_", "IPYTHON", "KERNEL_BROKER_", "LC_", "MKL_", "MPL", "NUMEXPR_", "NVIDIA_", "OMP_",
    "OPENBLAS_", "PYTHON", "XDG_",
)  # fmt: skip
"""One broker serves all notebook servers of a user, so it must not carry the secrets of the first one."""


class SettingsError(ValueError):
    """A setting that cannot be meant."""


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """The on-demand broker of this user and this Python environment."""

    python: str
    """The interpreter that runs it, and whose packages the cells see."""
    runtime_dir: Path
    """Socket, token, log and lock."""
    state_dir: Path
    """The embedded store, unless KERNEL_BROKER_STORE_URL names another."""
    environment: Mapping[str, str] = field(repr=False)
    """What the broker process gets of ours."""

    @property
    def socket(self) -> Path:
        """The unix socket the broker serves on."""
        return self.runtime_dir / _SOCKET_NAME

    @property
    def token_file(self) -> Path:
        """The broker's bearer token, readable by the user alone."""
        return self.runtime_dir / "token"

    @property
    def log_file(self) -> Path:
        """What the broker writes to stdout and stderr."""
        return self.runtime_dir / "broker.log"

    @property
    def record_file(self) -> Path:
        """The broker's pid and version, noted at its start."""
        return self.runtime_dir / "broker.json"

    @property
    def lock_file(self) -> Path:
        """Locked by the broker as long as it lives."""
        return self.runtime_dir / "lock"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to run cells, and how long to wait for it."""

    endpoint: Endpoint | None
    """The configured broker; None means the local one."""
    patience: float
    local: LocalSettings


def read_settings(
    environ: Mapping[str, str] = os.environ,
    *,
    url: str | None = None,
    token: str | None = None,
    python: str | None = None,
) -> Settings:
    """Settings from the environment; `url` and `token`, if given, come before it.

    `python` is the interpreter of the local broker if not this one: that of a kernelspec installed from
    another environment.
    """
    url = url or environ.get("SERVERLESS_KERNEL_URL", "").strip() or None
    return Settings(
        endpoint=_with_tls(to_endpoint(url, token or _read_token(environ)), environ) if url else None,
        patience=_read_seconds(environ, "SERVERLESS_KERNEL_PATIENCE", 30.0),
        local=_read_local(environ, python or sys.executable),
    )


def to_endpoint(url: str, token: str | None) -> Endpoint:
    """The endpoint of a URL as people write it: `unix:/path` means a socket."""
    if url.startswith("unix:"):
        return Endpoint("http://localhost", token, uds="/" + url.removeprefix("unix:").lstrip("/"))
    try:
        return Endpoint(url.rstrip("/"), token)
    except ValueError as error:
        raise SettingsError(f"{error} (or unix:/path/of/socket)") from error


def _with_tls(endpoint: Endpoint, environ: Mapping[str, str]) -> Endpoint:
    ca_file = environ.get("SERVERLESS_KERNEL_CA_FILE") or None
    client_cert = environ.get("SERVERLESS_KERNEL_CLIENT_CERT") or None
    if ca_file is None and client_cert is None:
        return endpoint
    endpoint = replace(endpoint, ca_file=ca_file, client_cert=client_cert)
    try:
        endpoint.to_tls()
    except OSError as error:
        told = "SERVERLESS_KERNEL_CA_FILE or SERVERLESS_KERNEL_CLIENT_CERT cannot be used"
        raise SettingsError(f"{told}: {error}") from error
    return endpoint


def _read_token(environ: Mapping[str, str]) -> str | None:
    path = environ.get("SERVERLESS_KERNEL_TOKEN_FILE")
    if not path:
        return environ.get("SERVERLESS_KERNEL_TOKEN") or None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"SERVERLESS_KERNEL_TOKEN_FILE cannot be read: {error}") from error


def _read_seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name, "").strip()
    try:
        seconds = float(text) if text else default
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise SettingsError(f"{name} must be a number of seconds, not {text!r}")
    return seconds


def _read_local(environ: Mapping[str, str], python: str) -> LocalSettings:
    # Not resolved: the python of a virtual environment is a link out of it.
    prefix = sys.prefix if python == sys.executable else str(Path(python).absolute().parent.parent)
    key = hashlib.sha256(prefix.encode()).hexdigest()[:10]
    home = Path(environ.get("HOME") or Path.home())
    state = Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state") / PRODUCT / key
    return LocalSettings(
        python=python,
        runtime_dir=_find_runtime_dir(environ, state, key),
        state_dir=state,
        environment={name: value for name, value in environ.items() if _passes(name)},
    )


def _find_runtime_dir(environ: Mapping[str, str], state: Path, key: str) -> Path:
    if chosen := environ.get("SERVERLESS_KERNEL_RUNTIME_DIR"):
        return Path(chosen).absolute()
    base = environ.get("XDG_RUNTIME_DIR")
    usable = base and os.access(base, os.W_OK | os.X_OK)  # after `su` it is somebody else's
    candidate = Path(base) / f"{PRODUCT}-{key}" if base and usable else state / "run"
    if len(os.fsencode(candidate / _SOCKET_NAME)) <= _MAX_SOCKET_PATH:
        return candidate
    return Path(tempfile.gettempdir()) / f"{PRODUCT}-{_user()}-{key}"


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "user"  # Windows has no local broker anyway


def _passes(name: str) -> bool:
    return name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
