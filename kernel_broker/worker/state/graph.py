"""One object graph as bytes: dumped as fast as it goes, as carefully as it must; loaded, or salvaged."""

import contextvars
import gc
import io
import pickle
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kernel_broker.worker.state.pickling.live import LiveObjects
from kernel_broker.worker.state.pickling.losses import Loss, LossLog, because
from kernel_broker.worker.state.pickling.pickler import StatePickler
from kernel_broker.worker.state.pickling.unpickler import SalvageUnpickler, StateUnpickler, reader
from kernel_broker.worker.state.tombstone import Tombstone

_DEEP_STACK = 512 * 2**20
_DEEP_LIMIT = 200_000
"""Stack and recursion limit for structures nested deeper than the interpreter's usual limit."""

_UNDISTURBED = 1.0
"""Switch interval while dumping: other threads of the user's should not change half of what is written."""


@dataclass(frozen=True)
class Root:
    """A labelled object of the graph; `name` is what a user calls it."""

    label: str
    name: str
    value: Any


@dataclass
class Dumped:
    """The bytes of a graph, what it lost, and the modules it needs."""

    stream: memoryview
    buffers: list[pickle.PickleBuffer]
    losses: list[tuple[Loss, int | None]]
    modules: set[str]


@dataclass
class Loaded:
    """The roots of a graph by label, and the tombstones that loading made."""

    values: dict[str, Any] = field(default_factory=dict)
    lost: list[Tombstone] = field(default_factory=list)


class GraphWriter:
    """Dumps graphs of one shell; remembers which types need care."""

    def __init__(self, live: LiveObjects, cell_of: Callable[[Loss], int | None]) -> None:
        self._live = live
        self._cell_of = cell_of
        self._guarded: set[type] = set()
        self._main_locals: dict[int, dict[str, Any]] = {}

    def dump(self, roots: Sequence[Root]) -> Dumped:
        """Dump the roots; what cannot be written becomes a tombstone. No object makes it fail."""
        try:
            return self._attempt(roots, LossLog(self._cell_of), careful=False)
        except RecursionError:
            if _on_main_thread():
                return self._dump_deep(lambda: self.dump(roots))
            return self._dump_carefully(roots)
        except BaseException:
            return self._dump_carefully(roots)

    def _dump_carefully(self, roots: Sequence[Root]) -> Dumped:
        buried: dict[str, tuple[Tombstone, LossLog]] = {}
        while True:
            log = LossLog(self._cell_of)
            trial = [
                Root(root.label, root.name, buried[root.label][0]) if root.label in buried else root
                for root in roots
            ]
            try:
                dumped = self._attempt(trial, log, careful=True)
            except BaseException as error:
                if isinstance(error, RecursionError) and _on_main_thread():
                    return self._dump_deep(lambda: self._dump_carefully(roots))
                if log.label in buried or not log.label:
                    raise
                fallen = next(root for root in roots if root.label == log.label)
                grave = LossLog(self._cell_of)
                grave.root = fallen.name
                buried[fallen.label] = (grave.bury(fallen.value, because(error)), grave)
            else:
                dumped.losses += [loss for _, grave in buried.values() for loss in grave.losses]
                return dumped

    def _dump_deep(self, work: Callable[[], Dumped]) -> Dumped:
        """Dump on another thread, which must see the values of this thread and context."""
        found: list[Any] = [it for it in gc.get_objects() if issubclass(type(it), threading.local)]
        self._main_locals = {id(item): vars(item) for item in found}
        try:
            return _on_deep_stack(work)
        finally:
            self._main_locals = {}

    def _attempt(self, roots: Sequence[Root], log: LossLog, careful: bool) -> Dumped:
        buffers: list[pickle.PickleBuffer] = []
        file = io.BytesIO()
        pickler = StatePickler(file, self._live, log, buffers.append, self._guarded, careful)
        pickler.main_locals = self._main_locals
        interval = sys.getswitchinterval()
        sys.setswitchinterval(_UNDISTURBED)
        try:
            pickler.dump([root.label for root in roots])
            for root in roots:
                log.root, log.label = root.name, root.label
                pickler.dump(root.value)
        finally:
            sys.setswitchinterval(interval)
        return Dumped(file.getbuffer(), buffers, log.losses, pickler.modules)


def _on_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def load(stream: bytes | bytearray, buffers: Sequence[Any], live: LiveObjects) -> Loaded:
    """Load a graph; what cannot be loaded becomes a tombstone, the rest is unharmed."""
    try:
        return _load_all(StateUnpickler(reader(stream), buffers, live))
    except Exception:
        return _salvage(stream, buffers, live)


def _load_all(unpickler: StateUnpickler) -> Loaded:
    loaded = Loaded()
    for label in unpickler.load():
        loaded.values[label] = unpickler.load()
    return loaded


def _salvage(stream: bytes | bytearray, buffers: Sequence[Any], live: LiveObjects) -> Loaded:
    unpickler = SalvageUnpickler(reader(stream), buffers, live)
    loaded = Loaded()
    for label in unpickler.load():
        unpickler.root = label.partition(":")[2]
        loaded.values[label] = unpickler.load()
    loaded.lost = unpickler.lost
    return loaded


def _on_deep_stack(work: Callable[[], Dumped]) -> Dumped:
    """Run something on a thread with a large stack and a high recursion limit."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.extend((work(), None))
        except BaseException as error:
            outcome.extend((None, error))

    limit, size = sys.getrecursionlimit(), threading.stack_size(_DEEP_STACK)
    sys.setrecursionlimit(_DEEP_LIMIT)
    try:
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(run,), daemon=True)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(size)
        sys.setrecursionlimit(limit)
    dumped, error = outcome
    if error is not None:
        raise error
    result: Dumped = dumped
    return result
