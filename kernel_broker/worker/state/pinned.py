"""What of a session lives only in its process: which cell made it, and what is new of it."""

from collections.abc import Callable, Iterable
from typing import Any

from kernel_broker.worker.state.delta import Pin
from kernel_broker.worker.state.pickling.losses import Loss
from kernel_broker.worker.state.units import Unit


class Pinned:
    """The lost objects of one process, told apart by identity and by the name that leads to them."""

    def __init__(self, cell: Callable[[], int | None]) -> None:
        """`cell` tells the number of the last cell."""
        self._cell = cell
        self._cells: dict[tuple[int, str], int | None] = {}

    def cell_of(self, loss: Loss) -> int | None:
        """The cell that made a lost object: the one after which it was first seen."""
        return self._cells.get((loss.key, loss.name), self._cell())

    def know(self, value: Any, names: Iterable[str], cell: int | None) -> None:
        """An object under these names was made by that cell."""
        for name in names:
            self._cells[(id(value), name)] = cell

    def of(self, units: Iterable[Unit]) -> tuple[list[Pin], list[Pin]]:
        """What some units lost: all, and what was not among it the time before."""
        losses = [item for unit in units for item in unit.losses]
        known, self._cells = self._cells, {(loss.key, loss.name): cell for loss, cell in losses}
        pins = [(Pin(loss.name, loss.type, loss.reason, cell), loss) for loss, cell in losses]
        return [pin for pin, _ in pins], [pin for pin, loss in pins if (loss.key, loss.name) not in known]
