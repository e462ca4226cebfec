"""The session's past, for its cells: `%revisions` shows what is kept, `%checkout N` goes back to it.

    worker → broker   ask {ask} · done {…, checkout}
    broker → worker   answer {ask, revisions | failure}

A cell sees no credentials: it asks the broker over its own socket. What it wants is done by the broker after
the cell's commit, which ends this worker.
"""

import itertools
import os
import queue
import time
from collections.abc import Callable
from typing import Any

from IPython.core.error import UsageError

from kernel_broker.wire.frames import Frame

Json = dict[str, Any]

_HEADINGS = ("revision", "cell", "made", "size", "kept for it")


class Past:
    """Called on the main thread, but for `on_answer`."""

    def __init__(self, send: Callable[[Frame], None]) -> None:
        self._send = send
        self._answers: queue.SimpleQueue[Json] = queue.SimpleQueue()
        self._numbers = itertools.count()
        self._pid = os.getpid()
        self._shell: Any = None
        self._wish: tuple[str, int] | None = None

    def install(self, shell: Any) -> None:
        """Give the shell the two magics."""
        self._shell = shell
        shell.register_magic_function(self.revisions, "line", "revisions")
        shell.register_magic_function(self.checkout, "line", "checkout")

    def on_answer(self, frame: Frame) -> None:
        """The broker has answered, on the control thread."""
        self._answers.put(frame.head)

    def take_wish(self, msg_id: str) -> int | None:
        """The revision that the cell of this request wants to go back to."""
        wish, self._wish = self._wish, None
        return wish[1] if wish is not None and wish[0] == msg_id else None

    def revisions(self, _: str = "") -> None:
        """Show the revisions of this session that are kept: `%checkout N` goes back to one of them."""
        print(_table(self._ask()))

    def checkout(self, line: str) -> None:
        """Go back to a revision, with all variables and the history as they were: `%checkout N`.

        It happens when the cell ends; the next cell starts there. What is left behind is kept as a revision
        like the others. `%revisions` shows which there are.
        """
        kept = self._ask()
        try:
            number = int(line)
        except ValueError:
            raise UsageError(f"%checkout needs the number of a revision:\n{_table(kept)}") from None
        if not any(revision["revision"] == number for revision in kept):
            raise UsageError(f"revision {number} is not kept; these are:\n{_table(kept)}")
        self._wish = (self._shell.get_parent()["header"]["msg_id"], number)
        print(
            f"When this cell ends, the session goes back to revision {number}: the next cell finds variables,"
            " history and saved files as they were then. Things that cannot be saved are gone."
        )

    def _ask(self) -> list[Json]:
        if os.getpid() != self._pid:
            raise UsageError("only the session's own process can ask for its revisions")
        number = next(self._numbers)
        self._send(Frame("ask", {"ask": number}))
        answer = self._answers.get()
        while answer["ask"] != number:  # an earlier one, whose cell was interrupted while it waited
            answer = self._answers.get()
        if "failure" in answer:
            raise UsageError(f"the revisions are not known: {answer['failure']}")
        kept: list[Json] = answer["revisions"]
        return kept


def _table(kept: list[Json]) -> str:
    rows = [_HEADINGS, *map(_row, kept)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = ("  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(lines)


def _row(revision: Json) -> tuple[str, ...]:
    made = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(revision["at"]))
    alone = "(current)" if revision["head"] else _to_size(revision["alone"])
    count = f"[{revision['execution_count']}]"
    return str(revision["revision"]), count, made, _to_size(revision["size"]), alone


def _to_size(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
