"""The line a user sees in a cell that waits for the broker, and that goes away when the cell starts."""

import asyncio
from collections.abc import Callable
from typing import Any

DELAY = 2.0
"""Seconds a cell may wait before anything is said."""


class WaitingLine:
    """Shown after a while, removed by `resolve`; once the cell's own output begins, never shown again."""

    def __init__(self, publish: Callable[[str, dict[str, Any]], None]) -> None:
        self._publish = publish
        self._timer: asyncio.TimerHandle | None = None
        self._shown = False
        self._resolved = False
        self._reason = ""
        self.said_busy = False
        """Whether `busy` was published, which must come before anything else that belongs to a cell."""

    def show(self, reason: str) -> None:
        """Say why the cell waits, if it still does after `DELAY`."""
        self._reason = reason
        if self._timer is None and not self._resolved:
            self._timer = asyncio.get_running_loop().call_later(DELAY, self._say)

    def _say(self) -> None:
        self._shown = self.said_busy = True
        text = f"Serverless Python: waiting ({self._reason})\n"
        self._publish("status", {"execution_state": "busy"})
        self._publish("stream", {"name": "stderr", "text": text})

    def resolve(self) -> None:
        """The cell has started, or failed: take the line away."""
        self._resolved = True
        if self._timer is not None:
            self._timer.cancel()
        if self._shown:
            self._shown = False
            self._publish("clear_output", {"wait": False})
