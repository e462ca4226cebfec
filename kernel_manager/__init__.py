"""The client side: the Jupyter provisioner and its bridge, the SDK, and the command line.

The SDK's names live here, and are loaded on first use, so that a notebook server that only looks for
the provisioner does not pay for them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernel_manager.client.endpoint import Endpoint
    from kernel_manager.client.errors import (
        ApiError,
        BadRequest,
        BrokerUnreachable,
        CellError,
        CellTimeout,
        Conflict,
        KernelError,
        KernelFailed,
        LineFull,
        LocalBrokerFailed,
        NotFound,
        NotWaitingForInput,
        OverQuota,
        RunLost,
        RuntimeMismatch,
        SessionBusy,
        SessionNotFound,
        StateUnreadable,
        StoreUnavailable,
        TooLarge,
        Unauthorized,
        Unavailable,
        WorkerLost,
    )
    from kernel_manager.client.rest import AsyncClient
    from kernel_manager.results import CellFailure, Execution, Result
    from kernel_manager.session import AsyncSession
    from kernel_manager.session_blocking import Session

_ERRORS = (
    "ApiError", "BadRequest", "BrokerUnreachable", "CellError", "CellTimeout", "Conflict", "KernelError",
    "KernelFailed",
    "LineFull", "LocalBrokerFailed", "NotFound", "NotWaitingForInput", "OverQuota", "RunLost",
    "RuntimeMismatch", "SessionBusy", "SessionNotFound", "StateUnreadable", "StoreUnavailable", "TooLarge",
    "Unauthorized",
    "Unavailable", "WorkerLost",
)  # fmt: skip

_HOMES = {
    "AsyncClient": "kernel_manager.client.rest",
    "AsyncSession": "kernel_manager.session",
    "CellFailure": "kernel_manager.results",
    "Endpoint": "kernel_manager.client.endpoint",
    "Execution": "kernel_manager.results",
    "Result": "kernel_manager.results",
    "Session": "kernel_manager.session_blocking",
    **dict.fromkeys(_ERRORS, "kernel_manager.client.errors"),
}

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncSession",
    "BadRequest",
    "BrokerUnreachable",
    "CellError",
    "CellFailure",
    "CellTimeout",
    "Conflict",
    "Endpoint",
    "Execution",
    "KernelError",
    "KernelFailed",
    "LineFull",
    "LocalBrokerFailed",
    "NotFound",
    "NotWaitingForInput",
    "OverQuota",
    "Result",
    "RunLost",
    "RuntimeMismatch",
    "Session",
    "SessionBusy",
    "SessionNotFound",
    "StateUnreadable",
    "StoreUnavailable",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "WorkerLost",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
