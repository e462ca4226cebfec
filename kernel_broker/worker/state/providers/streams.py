"""Streams that a cell put in the place of the session's own."""

import sys
from typing import Any

from kernel_broker.worker.state.providers.contract import Provider

_NAMES = ("stdout", "stderr")


class Redirected(Provider):
    """`sys.stdout = …`, where no `with` statement takes it back."""

    name = "redirected streams"
    in_graph = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._pristine = {name: getattr(sys, name) for name in _NAMES}

    def collect(self) -> dict[str, Any] | None:
        """Those that are not the session's own."""
        now = {name: getattr(sys, name, None) for name in _NAMES}
        return {
            name: stream
            for name, stream in now.items()
            if stream is not self._pristine[name] and hasattr(stream, "write") and not _is_closed(stream)
        } or None

    def apply(self, value: dict[str, Any]) -> None:
        """Put them there again."""
        for name, stream in value.items():
            setattr(sys, name, stream)


def _is_closed(stream: Any) -> bool:
    return getattr(stream, "closed", False) is True
