"""What a dump could not carry: which root each loss hangs from, and why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kernel_broker.worker.state.tombstone import Tombstone

ONLY_HERE = "lives only in the process that made it"


@dataclass(frozen=True)
class Loss:
    """One object left behind. `key` tells it from others, within its process, at the same name."""

    key: int
    name: str
    type: str
    reason: str


def type_name(kind: type) -> str:
    """A type as a user knows it."""
    try:
        module, name = kind.__module__, kind.__qualname__
    except Exception:
        return object.__repr__(kind)
    return str(name) if module in ("builtins", "__main__") else f"{module}.{name}"


class LossLog:
    """Collects the losses of one dump, and makes the tombstones that take their places."""

    def __init__(self, cell_of: Callable[[Loss], int | None]) -> None:
        self._cell_of = cell_of
        self.root = self.label = ""
        self.cell = cell_of(Loss(0, "", "", ""))
        self.losses: list[tuple[Loss, int | None]] = []

    def tombstone(self, found: Any, reason: str = ONLY_HERE) -> tuple[Any, ...]:
        """A reduction that loads as the tombstone of `found`."""
        loss, cell = self._record(found, reason)
        return Tombstone, (loss.name, loss.type, reason, cell)

    def bury(self, found: Any, reason: str) -> Tombstone:
        """The tombstone of a root that fails as a whole."""
        loss, cell = self._record(found, reason)
        return Tombstone(loss.name, loss.type, reason, cell)

    def _record(self, found: Any, reason: str) -> tuple[Loss, int | None]:
        loss = Loss(id(found), self.root, type_name(type(found)), reason)
        cell = self._cell_of(loss)
        self.losses.append((loss, cell))
        return loss, cell


def because(error: BaseException) -> str:
    """An error as the reason of a loss."""
    try:
        text = str(error).splitlines()[0][:200]
    except Exception:
        text = ""
    return (
        f"cannot be saved ({type(error).__name__}: {text})"
        if text
        else f"cannot be saved ({type(error).__name__})"
    )
