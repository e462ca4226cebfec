"""CPU and wall time of one action, garbage collection off: the same for everyone."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Spent:
    """Milliseconds."""

    cpu: float
    wall: float


def timed(action: Callable[[], T]) -> tuple[Spent, T]:
    """Time an action; collections run before it, not in it."""
    with no_collections():
        wall, cpu = time.perf_counter(), time.process_time()
        result = action()
        spent = Spent((time.process_time() - cpu) * 1e3, (time.perf_counter() - wall) * 1e3)
    return spent, result


@contextmanager
def no_collections() -> Iterator[None]:
    """Garbage is collected now, and then not."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
