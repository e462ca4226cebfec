"""The broker's settings: the only reader of the environment, and read once.

Each is an environment variable `KERNEL_BROKER_<NAME>`; `python -m kernel_broker --help` lists them.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kernel_broker.pool.sandbox import LEVELS, parse_network

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


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set, with its default."""

    host: str = setting("127.0.0.1", "address to listen on")
    port: int = setting(8080, "port to listen on; PORT alone is honoured too; 0 picks a free one")
    uds: str = setting("", "path of a unix socket to listen on instead of host and port")
    store_url: str = setting("", "redis://…, rediss://…, redis+sentinel://…, or sqlite:///path (default: "
                                 "an embedded store in the user's data directory)")  # fmt: skip
    token: str = setting("", "bearer token that opens everything; empty: no token is asked for")
    token_file: str = setting("", "file that holds the token, instead of TOKEN")
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
    files: str = setting("host", "where cells work: 'host', in the folder the session names; 'state', in one "
                                 "whose files are saved with the session (for pods)")  # fmt: skip
    files_dir: str = setting("", "folder for the working directories of sessions whose files are saved with "
                                 "them (default: one in the system's temporary folder)")  # fmt: skip
    files_bytes: int = setting(2**30, "bytes of all files that are saved with a session")
    files_count: int = setting(10_000, "files and folders that are saved with a session")
    file_bytes: int = setting(256 * 2**20, "bytes of one file that is saved with a session, or sent to it")
    recompute: str = setting("off", "whether new sessions make lost variables again by running their cells "
                                    "again: on or off")  # fmt: skip
    sandbox: str = setting("", "how workers are shut in: strict, standard or off (default: strict where "
                               "FILES is 'state', else off)")  # fmt: skip
    sandbox_read: str = setting("", "paths, colon-separated, that sessions in a strict sandbox may read "
                                    "besides the system's and the Python environment")  # fmt: skip
    network: str = setting("", "what cells may connect to: none, open, or a list of TCP ports such as 53,443 "
                               "(default: none in a strict sandbox, else open)")  # fmt: skip
    process_memory: int = setting(
        0, "in a sandbox: bytes of private memory of one process, besides the libraries'; 0: any"
    )
    process_file: int = setting(0, "in a sandbox: bytes of one file that a process writes; 0: any")
    processes: int = setting(0, "in a sandbox: processes and threads of the broker's account, over which "
                                "sessions start no more (not for root); 0: any")  # fmt: skip
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


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of an environment; raises `SettingsError`."""
    values: dict[str, Any] = {}
    for item in fields(Settings):
        raw = environ.get(PREFIX + item.name.upper())
        if raw is None and item.name == "port":
            raw = environ.get("PORT")
        if raw is not None:
            values[item.name] = _convert(item.name, raw, type(item.default))
    known = {PREFIX + item.name.upper() for item in fields(Settings)}
    unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise SettingsError(f"unknown setting {', '.join(unknown)}; --help lists those there are")
    settings = Settings(**values)
    return _resolve(settings)


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
    if settings.token_file:
        try:
            values["token"] = Path(settings.token_file).read_text().strip()
        except OSError as error:
            raise SettingsError(f"{PREFIX}TOKEN_FILE cannot be read: {error.strerror}") from error
        if not values["token"]:
            raise SettingsError(f"{PREFIX}TOKEN_FILE is empty")
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
    if settings.recompute not in ("on", "off"):
        raise SettingsError(f"{PREFIX}RECOMPUTE must be on or off")
    values |= _sandbox(settings)
    if settings.log_level not in ("debug", "info", "warning", "error"):
        raise SettingsError(f"{PREFIX}LOG_LEVEL must be debug, info, warning or error")
    return Settings(**values)


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
    credentials, _, hosts = urlsplit(settings.store_url).netloc.rpartition("@")
    on_network = settings.store_url.startswith("redis")
    ours = {settings.port: "the broker's own"} if not settings.uds else {}
    if on_network:
        ours |= {int(port): "the store's" for port in re.findall(r":(\d+)", hosts) or ["6379"]}
    for port in map(int, re.findall(r"\d+", network)):
        if port in ours:
            raise SettingsError(f"{PREFIX}NETWORK: port {port} is {ours[port]}, which no cell may reach")
    unlocked = not settings.token and not settings.token_file
    unlocked |= on_network and not credentials.partition(":")[2]
    if level == "strict" and network == "open" and unlocked:
        raise SettingsError(
            f"{PREFIX}NETWORK=open lets cells connect to the broker and its store: set {PREFIX}TOKEN, and a "
            f"password in {PREFIX}STORE_URL, or use none or a list of ports"
        )
    return {"sandbox": level, "network": network}


def describe_settings() -> str:
    """One line for each setting, for `--help`."""
    lines = []
    for item in fields(Settings):
        default = f" [{item.default}]" if item.default not in ("", None) else ""
        lines.append(f"  {PREFIX}{item.name.upper():<15}{default} {item.metadata['help']}")
    return "\n".join(lines)
