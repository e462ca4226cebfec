"""A run that has run before: tell what is known of it, and never run it again."""

from collections.abc import Callable
from typing import Any

from kernel_broker.errors import Conflict
from kernel_broker.sessions.run import Run
from kernel_broker.store.contract import RunRecord
from kernel_broker.wire.events import read_line, to_line
from kernel_broker.wire.ids import Revision


def lost(revision: Revision) -> Conflict:
    """The error for a run whose outcome nobody knows."""
    return Conflict(
        "the run was started before, and its outcome is not known: the pod that ran it was lost. It is not "
        f"run again. The session stands at revision {revision}, with everything up to the last finished cell",
        code="run_lost",
        revision=revision,
    )


def replay(run: Run, known: RunRecord, revision: Revision) -> None:
    """Log again what was stored of the run; raises `Conflict` if it was lost."""
    if not known.finished:
        raise lost(revision)
    for number, line in enumerate(known.log.splitlines()):
        event = read_line(line)
        kind, seq = event.pop("event"), event.pop("seq")
        if number == 0 and seq > 1:
            run.log.append(_line_maker("dropped", {"first": 1, "last": seq - 1}))
        if kind != "accepted":
            add = run.log.end if kind == "end" else run.log.append
            add(_line_maker(kind, event))


def _line_maker(kind: str, members: dict[str, Any]) -> Callable[[int], bytes]:
    return lambda seq: to_line(kind, seq, **members)
