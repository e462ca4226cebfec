"""The C pickler with our reducers: fast on plain data, asked only about everything else."""

import pickle
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO

from kernel_broker.worker.state.definitions import Definitions
from kernel_broker.worker.state.loading import blob, definition, live_object
from kernel_broker.worker.state.pickling import guard
from kernel_broker.worker.state.pickling.arrays import OUT_OF_BAND
from kernel_broker.worker.state.pickling.functions import ModuleGlobals
from kernel_broker.worker.state.pickling.live import LiveObjects
from kernel_broker.worker.state.pickling.losses import LossLog
from kernel_broker.worker.state.pickling.modules import find_home
from kernel_broker.worker.state.pickling.table import Reducer, reducer_for
from kernel_broker.worker.state.reach import ANYWHERE, NOWHERE, Reach, of_code

_UNKNOWN = object()
_SHELL_PARTS = frozenset({3, 7, 8, 11, 12, 15, 30})
"""Live objects through which code gets at every variable."""


@dataclass
class Context:
    """What all dumps of one capture share."""

    live: LiveObjects
    definitions: Definitions
    seeds: dict[int, tuple[int, Any]]
    guarded: set[type]
    """Types whose instances are known to fail."""
    main_locals: dict[int, dict[str, Any]] = field(default_factory=dict)
    reducers: dict[type, Any] = field(default_factory=dict)
    plain: set[type] = field(default_factory=set)
    """Types whose instances need no look."""
    found: dict[Any, Any] = field(default_factory=dict)
    """What reducers searched the process for."""
    homes: dict[int, tuple[Any, tuple[str, str]]] = field(default_factory=dict)
    """Classes and functions that another process has by name, by id, with their names."""


class BlobMark:
    """Stands for a large buffer in a stream."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return blob, (self.number,)


def _stays(large: list[pickle.PickleBuffer], buffer: pickle.PickleBuffer) -> bool:
    """Whether a buffer stays in the stream, as small ones do; large ones are kept beside it.

    No method: a pickler that is in a cycle would keep all in its memo alive.
    """
    is_small = memoryview(buffer).nbytes < OUT_OF_BAND
    if not is_small:
        large.append(buffer)
    return is_small


class StatePickler(pickle.Pickler):
    """Writes some roots to one stream: what they share is written once.

    Definitions are left out, but for those in `own`. With `careful`, every object is suspected.
    """

    def __init__(
        self, file: BinaryIO, context: Context, losses: LossLog, own: frozenset[str], careful: bool = False
    ) -> None:
        self.buffers: list[pickle.PickleBuffer] = []
        super().__init__(file, protocol=5, buffer_callback=partial(_stays, self.buffers))
        self.memo = context.seeds
        self.live = context.live
        self.namespace = context.live.find(0)
        self.definitions = context.definitions
        self.losses = losses
        self.modules: set[str] = set()
        self.blobs: list[memoryview] = []
        self.used: dict[str, Any] = {}
        """Definitions that the stream refers to."""
        self.reach: Reach = NOWHERE
        self._context = context
        self._own = own
        self._careful = careful
        self._plain = frozenset[type]() if careful else context.plain
        self._cells: set[int] = set()
        self._globals: dict[int, Any] = {}

    def reducer_override(self, found: Any) -> Any:
        """How to write an object that is not an exact builtin."""
        kind = type(found)
        if kind in self._plain:
            return NotImplemented
        reducer: Reducer | None = self._context.reducers.get(kind, _UNKNOWN)
        if reducer is _UNKNOWN:
            reducer = self._context.reducers[kind] = reducer_for(kind)
        if id(found) in self.live.numbers:
            return self._reduce_live(self.live.numbers[id(found)])
        if self._careful or kind in self._context.guarded:
            return guard.reduce(self, found, reducer)
        if reducer is None:
            if kind not in self.live.kinds:
                self._context.plain.add(kind)
            return NotImplemented
        return reducer(self, found)

    def suspect(self, kind: type) -> None:
        """Know that instances of a type fail."""
        self._context.guarded.add(kind)
        self._context.plain.discard(kind)

    def _reduce_live(self, number: int) -> Any:
        if number in _SHELL_PARTS:
            self.reach = self.reach | ANYWHERE
        return live_object, (number,)

    def define(self, found: Any, by_value: Callable[[Any, Any, str], Any]) -> Any:
        """Write a definition: by its identifier, unless this is the stream that it is stored in."""
        uid = self.definitions.uid_of(found)
        if uid in self._own:
            return by_value(self, found, uid)
        self.used[uid] = found
        return definition, (uid,)

    def note_code(self, code: types.CodeType) -> None:
        """Remember what code in the stream can reach."""
        reach = of_code(code)
        if reach.anything or not reach.names <= self.reach.names:
            self.reach = self.reach | reach

    def note_names(self, names: Iterable[str]) -> None:
        """Remember that loading the stream, or what is in it, has to do with what these names stand for."""
        self.reach = self.reach | Reach(frozenset(names))

    def home_of(self, found: Any) -> tuple[str, str] | None:
        """The module and the dotted name under which another process has a class or function, if it has."""
        known = self._context.homes.get(id(found))
        if known is not None:
            return known[1]
        home = find_home(found)
        if home is not None:
            self._context.homes[id(found)] = found, home
        return home

    def blob(self, memory: memoryview) -> BlobMark:
        """Leave a large buffer out of the stream; what stands for it there."""
        self.blobs.append(memory)
        return BlobMark(len(self.blobs) - 1)

    def once(self, search: Callable[[], Any]) -> Any:
        """What a search of the process finds, made once for all dumps of the capture."""
        found = self._context.found
        if search not in found:
            found[search] = search()
        return found[search]

    def own_cell(self, cell: Any) -> bool:
        """Whether the caller is the first to reach a cell, and so brings its contents."""
        if id(cell) in self._cells:
            return False
        self._cells.add(id(cell))
        return True

    def module_globals(self, namespace: dict[str, Any], module_of: Callable[[], Any]) -> Any:
        """What stands for the globals of a function: its module's, if it has one, else the dict itself."""
        token = self._globals.get(id(namespace))
        if token is None:
            module = module_of()
            token = self._globals[id(namespace)] = namespace if module is None else ModuleGlobals(module)
        return token

    def main_thread_attributes(self, local: Any) -> dict[str, Any]:
        """What the session's own thread sees in a `threading.local`, whichever thread dumps."""
        seen = self._context.main_locals.get(id(local))
        return vars(local) if seen is None else seen

    def note_module(self, name: str) -> None:
        """Remember that the stream needs a module."""
        self.modules.add(name)
