"""One object graph as bytes: dumped as fast as it goes, as carefully as it must; loaded, or salvaged."""

import contextvars
import gc
import io
import pickle
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kernel_broker.worker.state.chunks import Stop, never
from kernel_broker.worker.state.definitions import Definitions
from kernel_broker.worker.state.errors import GivenUp, StateError
from kernel_broker.worker.state.loading import Source, sources
from kernel_broker.worker.state.pickling.live import LiveObjects
from kernel_broker.worker.state.pickling.losses import Loss, LossLog, because
from kernel_broker.worker.state.pickling.pickler import Context, StatePickler
from kernel_broker.worker.state.pickling.unpickler import SalvageUnpickler, Stream, loader, reader
from kernel_broker.worker.state.reach import Reach
from kernel_broker.worker.state.tombstone import Tombstone

_DEEP_STACK = 512 * 2**20
_DEEP_LIMIT = 200_000
"""Stack and recursion limit for structures nested deeper than the interpreter's usual limit."""

_UNDISTURBED = 1.0
"""Switch interval while dumping: other threads of the user's should not change half of what is written."""


class Root(NamedTuple):
    """A labelled object of the graph; `name` is what a user calls it."""

    label: str
    name: str
    value: Any


@dataclass
class Dumped:
    """The bytes of a graph, what it lost, and what it needs."""

    _pickler: StatePickler
    _file: io.BytesIO
    losses: list[tuple[Loss, int | None]]

    @property
    def stream(self) -> memoryview:
        """What was written, without the large buffers."""
        return self._file.getbuffer()

    @property
    def blobs(self) -> list[memoryview]:
        """Large buffers that the stream refers to."""
        return self._pickler.blobs

    @property
    def buffers(self) -> list[pickle.PickleBuffer]:
        """Buffers that pickle left out of the stream."""
        return self._pickler.buffers

    @property
    def modules(self) -> set[str]:
        """Modules that it needs."""
        return self._pickler.modules

    @property
    def used(self) -> dict[str, Any]:
        """Definitions that it refers to."""
        return self._pickler.used

    @property
    def reach(self) -> Reach:
        """What code in it can reach."""
        return self._pickler.reach

    def memo(self) -> dict[int, tuple[int, Any]]:
        """Every object in it, by id; costs time."""
        found: dict[int, tuple[int, Any]] = self._pickler.memo.copy()
        return found

    def has_by_name(self, function: Any) -> bool:
        """Whether a function in it is one that other processes have by name."""
        return self._pickler.home_of(function) is not None

    @property
    def known(self) -> int:
        """About how many bytes the memo takes."""
        return sys.getsizeof(self._pickler)

    @property
    def size(self) -> int:
        """Bytes, all told."""
        return len(self.stream) + sum(map(len, self.blobs)) + sum(it.raw().nbytes for it in self.buffers)

    def extend(self, roots: Iterable[Root]) -> None:
        """Add roots. What this raises leaves a dump that is of no use."""
        for root in roots:
            self._pickler.losses.root, self._pickler.losses.label = root.name, root.label
            self._pickler.dump(root.value)


@dataclass
class Loaded:
    """The roots of a graph by label, and the tombstones that loading made."""

    values: dict[str, Any] = field(default_factory=dict)
    lost: list[Tombstone] = field(default_factory=list)


class GraphWriter:
    """Dumps graphs of one shell; remembers which types need care."""

    def __init__(
        self, live: LiveObjects, definitions: Definitions, cell_of: Callable[[Loss], int | None]
    ) -> None:
        self._live = live
        self._definitions = definitions
        self._cell_of = cell_of
        self._guarded: weakref.WeakSet[type] = weakref.WeakSet()
        self._context: Any = None
        self._stop: Stop = never

    @contextmanager
    def series(self, stop: Stop = never) -> Iterator[None]:
        """Look where the live objects are for a series of dumps, after which nothing more is held.

        `stop` is asked before each of them: `dump` raises `GivenUp` if it says so.
        """
        self._stop = stop
        guarded = set(self._guarded)
        self._context = Context(self._live, self._definitions, self._live.look(), guarded)
        try:
            yield
        finally:
            self._context, self._stop = None, never
            self._guarded.update(guarded)

    @property
    def seeds(self) -> dict[int, tuple[int, Any]]:
        """What is in the memo of every dump."""
        seeds: dict[int, tuple[int, Any]] = self._context.seeds
        return seeds

    def dump(self, roots: Sequence[Root], own: frozenset[str] = frozenset()) -> Dumped:
        """Dump the roots; what cannot be written becomes a tombstone. No object makes it fail.

        `own` are identifiers of definitions that are written by value.
        """
        if self._stop():
            raise GivenUp
        try:
            return self._attempt(roots, own, LossLog(self._cell_of), careful=False)
        except RecursionError:
            if _on_main_thread():
                return self._dump_deep(lambda: self.dump(roots, own))
            return self._dump_carefully(roots, own)
        except BaseException:
            return self._dump_carefully(roots, own)

    def _dump_carefully(self, roots: Sequence[Root], own: frozenset[str]) -> Dumped:
        buried: dict[str, tuple[Tombstone, LossLog]] = {}
        while True:
            log = LossLog(self._cell_of)
            trial = [
                Root(root.label, root.name, buried[root.label][0]) if root.label in buried else root
                for root in roots
            ]
            try:
                dumped = self._attempt(trial, own, log, careful=True)
            except BaseException as error:
                if isinstance(error, RecursionError) and _on_main_thread():
                    return self._dump_deep(lambda: self._dump_carefully(roots, own))
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
        self._context.main_locals = {id(item): vars(item) for item in found}
        try:
            return _on_deep_stack(work)
        finally:
            self._context.main_locals = {}

    def _attempt(self, roots: Sequence[Root], own: frozenset[str], log: LossLog, careful: bool) -> Dumped:
        file = io.BytesIO()
        pickler = StatePickler(file, self._context, log, own, careful)
        for root in roots:
            log.root, log.label = root.name, root.label
            pickler.dump(root.value)
        return Dumped(pickler, file, log.losses)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep other threads of the user's from changing half of what is written meanwhile."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_UNDISTURBED)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def _on_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def load(
    labels: Sequence[str],
    stream: Callable[[], Stream],
    buffers: Callable[[], Iterable[Any]],
    source: Source,
) -> Loaded:
    """Load a graph; what cannot be loaded becomes a tombstone, the rest is unharmed. Raises `StateError`.

    `stream` and `buffers` are asked again if it has to be read a second time.
    """
    sources.append(source)
    try:
        try:
            load_next = loader(stream(), buffers(), source.live)
            loaded = Loaded({label: load_next() for label in labels})
        except StateError:
            raise
        except Exception:
            loaded = _salvage(labels, stream(), buffers(), source)
        for ending in source.endings:
            ending()
    finally:
        sources.pop()
    return loaded


def _salvage(labels: Sequence[str], stream: Stream, buffers: Iterable[Any], source: Source) -> Loaded:
    unpickler = SalvageUnpickler(reader(stream), buffers, source.live)
    loaded = Loaded()
    for label in labels:
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
