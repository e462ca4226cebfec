"""The broker's errors. Each carries the problem document it becomes at the border.

BrokerError
├── NotFound          404
├── Conflict          409
├── TooLarge          413
├── LineFull          429
├── OverQuota         429
├── Unavailable       503  (starting, draining, store_unavailable, workers_unavailable, identity_unavailable)
└── CellTimeout       504
"""

from typing import Any

from kernel_broker.wire.problems import Problem


class BrokerError(Exception):
    """Base of all; `problem` says what happened and what to do."""

    code = "internal"

    def __init__(
        self, detail: str, *, code: str | None = None, retry_after: float | None = None, **extra: Any
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(code or self.code, detail, retry_after, extra)


class NotFound(BrokerError):
    """No such session or run (or it belongs to someone else)."""

    code = "not_found"


class Conflict(BrokerError):
    """The request does not fit the state the session is in."""

    code = "revision_conflict"


class TooLarge(BrokerError):
    """A request or a state over its limit."""

    code = "too_large"


class LineFull(BrokerError):
    """The line of waiting requests is full."""

    code = "line_full"


class OverQuota(BrokerError):
    """The owner has, or does, as much as it may."""

    code = "over_quota"


class Unavailable(BrokerError):
    """Something the broker needs is not there right now."""

    code = "starting"


class CellTimeout(BrokerError):
    """A cell ran longer than its limit and was interrupted."""

    code = "cell_timeout"
