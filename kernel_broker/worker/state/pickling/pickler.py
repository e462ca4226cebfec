"""The C pickler with our reducers: fast on plain data, asked only about everything else."""

import pickle
from collections.abc import Callable
from typing import Any, BinaryIO

from kernel_broker.worker.state.pickling import guard
from kernel_broker.worker.state.pickling.functions import ModuleGlobals
from kernel_broker.worker.state.pickling.live import LiveObjects
from kernel_broker.worker.state.pickling.losses import LossLog
from kernel_broker.worker.state.pickling.table import Reducer, reducer_for

_UNKNOWN = object()


class StatePickler(pickle.Pickler):
    """Writes one graph, root by root, to one stream: what two roots share is written once.

    `guarded` are the types whose instances are known to fail; with `careful`, everything is suspected.
    """

    def __init__(
        self,
        file: BinaryIO,
        live: LiveObjects,
        losses: LossLog,
        buffers: Callable[[pickle.PickleBuffer], Any],
        guarded: set[type],
        careful: bool = False,
    ) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffers)
        seed, self.memo = live.seed()
        file.write(seed)
        self.live = live
        self.namespace = live.find(0)
        self.losses = losses
        self.modules: set[str] = set()
        self.guarded = guarded
        self.main_locals: dict[int, dict[str, Any]] = {}
        self._careful = careful
        self._reducers: dict[type, Any] = {}
        self._cells: set[int] = set()
        self._numbers: dict[int, int] = {}
        self._globals: dict[int, Any] = {}

    def reducer_override(self, found: Any) -> Any:
        """How to write an object that is not an exact builtin."""
        kind = type(found)
        reducer: Reducer | None = self._reducers.get(kind, _UNKNOWN)
        if reducer is _UNKNOWN:
            reducer = self._reducers[kind] = reducer_for(kind)
        if self._careful or kind in self.guarded:
            return guard.reduce(self, found, reducer)
        if reducer is None:
            return NotImplemented
        return reducer(self, found)

    def own_cell(self, cell: Any) -> bool:
        """Whether the caller is the first to reach a cell, and so brings its contents."""
        if id(cell) in self._cells:
            return False
        self._cells.add(id(cell))
        return True

    def number(self, cls: type) -> int:
        """A class's number in this stream."""
        return self._numbers.setdefault(id(cls), len(self._numbers))

    def module_globals(self, namespace: dict[str, Any], module_of: Callable[[], Any]) -> Any:
        """What stands for the globals of a function: its module's, if it has one, else the dict itself."""
        token = self._globals.get(id(namespace))
        if token is None:
            module = module_of()
            token = self._globals[id(namespace)] = namespace if module is None else ModuleGlobals(module)
        return token

    def main_thread_attributes(self, local: Any) -> dict[str, Any]:
        """What the session's own thread sees in a `threading.local`, whichever thread dumps."""
        seen = self.main_locals.get(id(local))
        return vars(local) if seen is None else seen

    def note_module(self, name: str) -> None:
        """Remember that the stream needs a module."""
        self.modules.add(name)
