"""Every setting there is: its default, and the line that `--help` shows.

Each is an environment variable `KERNEL_BROKER_<NAME>`.
"""

from dataclasses import Field, dataclass, field, fields
from typing import Any

from kernel_broker.wire.identity import is_loopback

PREFIX = "KERNEL_BROKER_"


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it and says what is wanted."""


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
    store_url: str = secret("redis://…, rediss://…, redis+sentinel://…, unix:///socket, or sqlite:///path "
                            "(default: an embedded store in the user's data directory)")  # fmt: skip
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

    secret_files: tuple[str, ...] = ()
    """Files that secrets were read from; no setting of its own."""

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


def all_settings() -> list[Field[Any]]:
    """The members of `Settings` that can be set."""
    return [item for item in fields(Settings) if "help" in item.metadata]


def describe_settings() -> str:
    """One line for each setting, for `--help`."""
    lines = []
    for item in all_settings():
        default = f" [{item.default}]" if item.default not in ("", None) else ""
        lines.append(f"  {PREFIX}{item.name.upper():<15}{default} {item.metadata['help']}")
    return "\n".join(lines)
