"""The client's errors, each named for what it says.

KernelError
├── BrokerUnreachable            nobody answered within the client's patience
│   └── LocalBrokerFailed        the on-demand broker could not be started
├── ApiError                     the broker answered with a problem document (`problem`, `code`)
│   ├── BadRequest               400 405 406 408 416 422
│   ├── Unauthorized             401 403
│   ├── NotFound                 404
│   │   └── SessionNotFound
│   ├── Conflict                 409
│   │   ├── SessionBusy          the session is held by another pod
│   │   ├── NotWaitingForInput
│   │   └── RuntimeMismatch      the session was made by another Python or image
│   ├── TooLarge                 413
│   ├── OverQuota                429
│   │   └── LineFull             the line of waiting requests is full
│   ├── Unavailable              503, and still so after the client's patience
│   │   └── StoreUnavailable
│   ├── WorkerLost               the cell's process died; the session goes on from its last revision
│   ├── KernelFailed             the kernel could not handle the request
│   ├── StateUnreadable          the committed state cannot be brought back
│   └── CellTimeout              the cell ran into its time limit and was interrupted
├── RunLost                      the outcome of a run is not known; names the session's revision
└── CellError                    the cell raised an exception; made by `Execution.raise_for_error()`
"""

from collections.abc import Mapping
from typing import Any, Final


class KernelError(Exception):
    """Base of everything this package raises on purpose."""


class BrokerUnreachable(KernelError):
    """No broker answered in time. Whether the last request was carried out is said in the message."""


class LocalBrokerFailed(BrokerUnreachable):
    """The local broker did not start, or cannot run on this platform."""


class ApiError(KernelError):
    """The broker refused; `problem` is its RFC 9457 document, `code` the stable name of what is wrong."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        self.problem = dict(problem)
        self.code = str(self.problem.get("code", "internal"))
        self.status = int(self.problem.get("status", 500))
        super().__init__(str(self.problem.get("detail") or self.problem.get("title") or self.code))

    @property
    def retry_after(self) -> float | None:
        """Seconds after which the same request may succeed, if waiting helps."""
        value = self.problem.get("retry_after")
        return float(value) if isinstance(value, int | float) else None


class BadRequest(ApiError):
    """The request is malformed."""


class Unauthorized(ApiError):
    """The token is missing, wrong, or not enough."""


class NotFound(ApiError):
    """No such thing, or it belongs to someone else."""


class SessionNotFound(NotFound):
    """No such session: never created, deleted, or expired."""


class Conflict(ApiError):
    """The request does not fit the state the session is in."""


class SessionBusy(Conflict):
    """Another pod holds the session."""


class NotWaitingForInput(Conflict):
    """No cell of the session waits for `input()`."""


class RuntimeMismatch(Conflict):
    """The session's state was made by a runtime this pool does not have."""


class TooLarge(ApiError):
    """A request or a state over its limit."""


class OverQuota(ApiError):
    """The owner has, or does, as much as it may."""


class LineFull(OverQuota):
    """The line of waiting requests is full."""


class Unavailable(ApiError):
    """The broker is starting, draining, or lacks something it needs."""


class StoreUnavailable(Unavailable):
    """The broker cannot reach its store; nothing was run."""


class WorkerLost(ApiError):
    """The process that ran the cell is gone."""


class KernelFailed(ApiError):
    """The kernel could not handle the request; the session is as it was."""


class StateUnreadable(ApiError):
    """The session's state is damaged, or of another version; restart the session to go on."""


class CellTimeout(ApiError):
    """The cell ran longer than its limit and was interrupted."""


class RunLost(KernelError):
    """A run whose outcome is not known. It is not repeated: that is for the caller to decide."""

    def __init__(self, run_id: str | None, revision: int | None, started_from: int | None) -> None:
        self.run_id = run_id
        self.revision = revision
        self.started_from = started_from
        super().__init__(_describe_loss(revision, started_from))


class CellError(KernelError):
    """The cell raised `ename`; the session lives on, with whatever the cell did before."""

    def __init__(self, ename: str, evalue: str, traceback: list[str]) -> None:
        self.ename = ename
        self.evalue = evalue
        self.traceback = traceback
        super().__init__(f"{ename}: {evalue}" if evalue else ename)


_BY_CODE: Final[dict[str, type[ApiError]]] = {
    "bad_request": BadRequest,
    "method_not_allowed": BadRequest,
    "not_acceptable": BadRequest,
    "request_timeout": BadRequest,
    "invalid": BadRequest,
    "range_not_satisfiable": BadRequest,
    "unauthorized": Unauthorized,
    "forbidden": Unauthorized,
    "session_not_found": SessionNotFound,
    "run_not_found": NotFound,
    "revision_not_found": NotFound,
    "file_not_found": NotFound,
    "not_found": NotFound,
    "session_busy_elsewhere": SessionBusy,
    "revision_conflict": Conflict,
    "run_conflict": Conflict,
    "files_on_host": Conflict,
    "file_conflict": Conflict,
    "not_a_file": Conflict,
    "session_id_taken": Conflict,
    "session_running": Conflict,
    "run_lost": Conflict,
    "not_waiting_for_input": NotWaitingForInput,
    "runtime_mismatch": RuntimeMismatch,
    "too_large": TooLarge,
    "line_full": LineFull,
    "over_quota": OverQuota,
    "starting": Unavailable,
    "draining": Unavailable,
    "store_unavailable": StoreUnavailable,
    "workers_unavailable": Unavailable,
    "identity_unavailable": Unavailable,
    "worker_lost": WorkerLost,
    "kernel_failed": KernelFailed,
    "state_unreadable": StateUnreadable,
    "cell_timeout": CellTimeout,
}

_BY_STATUS: Final[dict[int, type[ApiError]]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Unauthorized,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: BadRequest,
    429: OverQuota,
    503: Unavailable,
}
"""For codes of a newer broker."""


def to_error(problem: Mapping[str, Any]) -> ApiError:
    """The exception that a problem document stands for."""
    kind = _BY_CODE.get(str(problem.get("code"))) or _BY_STATUS.get(problem.get("status", 0), ApiError)
    return kind(problem)


def _describe_loss(revision: int | None, started_from: int | None) -> str:
    text = "the outcome of this run is not known, and it was not repeated"
    if revision is None:
        return text
    if started_from is None:
        return f"{text}; the session stands at revision {revision}"
    if revision > started_from:
        return f"{text}; the session stands at revision {revision}, after the {started_from} it started from"
    return f"{text}; the session stands at revision {revision}, as before it"
