"""What a worker says about itself and its session: pins, notices, background work, comms."""

import asyncio
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from kernel_broker.worker.state.engine import Delta, Pin

REQUEST = "serverless-request"
"""Name of the asyncio tasks that handle requests, to tell them from the user's."""

_EVERYDAY = ("threading.", "_thread.", "multiprocessing.", "asyncio.", "_asyncio.")
"""Threads, processes, tasks and their locks: front ends expect the cells that start them to be silent."""

_OWN_THREADS = frozenset({"MainThread", "Control"})
_LIBRARY_THREADS = ("ipykernel", "IPython", "debugpy", "_pydevd", "pydevd", "tqdm", "concurrent.futures")
"""Modules whose idle service threads never end, and are no work of the user's."""


_NAMED = 10
"""Lost variables that are named in one notice."""


def pin(item: Pin) -> dict[str, Any]:
    """A pin as JSON."""
    return {"name": item.name, "type": item.type, "reason": item.reason, "cell": item.cell}


def notices(pins: Iterable[Pin]) -> list[str]:
    """What a user is told at the cell that made things which cannot be carried."""
    return list(dict.fromkeys(_notice(item) for item in pins))


def losses(lost: Sequence[Pin]) -> list[str]:
    """What a user is told after a move that not everything has survived."""
    if not lost:
        return []
    named = [f"'{item.name}' ({item.type}) {item.reason}" for item in lost[:_NAMED]]
    more = f"; and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
    return [
        f"Serverless Python: not everything could be brought to this process: {'; '.join(named)}{more}. All "
        "else is there, and the use of what is not raises StateLost. An earlier revision may have it whole: "
        "%revisions lists them, %checkout N goes back to one."
    ]


def is_everyday(item: Pin) -> bool:
    """Whether it lives in one process only on every kernel: said in the answer, not in the cell's output."""
    return item.type.startswith(_EVERYDAY)


def _notice(item: Pin) -> str:
    return (
        f"Serverless Python: '{item.name}' ({item.type}) cannot be saved with the session: {item.reason}. "
        "It works until the session moves to another process."
    )


def done(app: Any, loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
    """The members of a `done` or `amend` frame that do not depend on the state."""
    return {
        "execution_count": app.shell.execution_count - 1,
        "commit": None,
        "pinned": [],
        "notices": [],
        "shown": [],
        "refused": None,
        "comms": {
            comm_id: {"target_name": comm.target_name}
            for comm_id, comm in app.kernel.comm_manager.comms.items()
        },
        "background": has_background_work(loop),
    }


def changes(delta: Delta) -> dict[str, Any]:
    """The members of a frame that say what has changed in the state."""
    if delta.refused is not None:
        return {"refused": delta.refused}
    lost = losses(delta.lost)
    return {
        "commit": {
            "put": list(delta.put),
            "delete": delta.delete,
            "add": delta.add,
            "drop": delta.drop,
        },
        "pinned": [pin(item) for item in delta.pinned],
        "notices": [*lost, *delta.notices, *notices(delta.new_pins)],
        "shown": [*lost, *delta.notices, *notices(it for it in delta.new_pins if not is_everyday(it))],
    }


def has_background_work(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether user code left threads or asyncio tasks running that may still publish."""
    if any(thread.name not in _OWN_THREADS and not _is_service(thread) for thread in threading.enumerate()):
        return True
    return any(task.get_name() != REQUEST for task in asyncio.all_tasks(loop))


def _is_service(thread: threading.Thread) -> bool:
    target = getattr(thread, "_target", None)
    modules = (getattr(target, "__module__", None) or "", type(thread).__module__)
    return any(module.startswith(_LIBRARY_THREADS) for module in modules)
