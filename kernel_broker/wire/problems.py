"""Problem documents (RFC 9457): the one form of every error the broker answers with."""

from dataclasses import dataclass, field
from typing import Any, Final

MEDIA_TYPE: Final = "application/problem+json"

CODES: Final[dict[str, int]] = {
    "bad_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "session_not_found": 404,
    "run_not_found": 404,
    "revision_not_found": 404,
    "file_not_found": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "request_timeout": 408,
    "session_busy_elsewhere": 409,
    "revision_conflict": 409,
    "session_id_taken": 409,
    "run_conflict": 409,
    "session_running": 409,
    "files_on_host": 409,
    "file_conflict": 409,
    "not_a_file": 409,
    "run_lost": 409,
    "not_waiting_for_input": 409,
    "runtime_mismatch": 409,
    "too_large": 413,
    "state_too_large": 413,
    "range_not_satisfiable": 416,
    "invalid": 422,
    "line_full": 429,
    "over_quota": 429,
    "internal": 500,
    "worker_lost": 500,
    "kernel_failed": 500,
    "state_unreadable": 500,
    "starting": 503,
    "draining": 503,
    "store_unavailable": 503,
    "workers_unavailable": 503,
    "identity_unavailable": 503,
    "cell_timeout": 504,
}
"""Every stable `code` and its HTTP status."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An RFC 9457 problem: `code` is stable, `detail` says what happened and what to do."""

    code: str
    detail: str
    retry_after: float | None = None
    """Seconds after which the same request may succeed; None if it will not by waiting."""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code."""
        return CODES[self.code]

    def to_json(self) -> dict[str, Any]:
        """The document's members, `type` being a URN of the code."""
        document: dict[str, Any] = {
            "type": f"urn:serverless-ipykernel:problem:{self.code}",
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            **self.extra,
        }
        if self.retry_after is not None:
            document["retry_after"] = self.retry_after
        return document
