"""Processes that run a few cells each, forked from one that has the kernel built, as workers are.

Cells run in the kernel's own shell, the state goes through the engine of the product. What a worker has
around these two (frames, streams, threads) is left out, so that a process costs a few milliseconds.
"""

import gc
import io
import os
import pickle
import random
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from plants import PLANTS, Plant
from shape import shape_of

from kernel_broker.worker import runtime
from kernel_broker.worker.app import WorkerApp
from kernel_broker.worker.state.engine import Delta, StateEngine

KEY = bytes(range(32))
_SECONDS = 5
"""Of computing, for all cells of a process: a program that does not end is left out."""

_WAIT = 60
_MEMORY = 4 * 2**30


@dataclass
class Stored:
    """What a store has of a session."""

    entries: dict[str, bytes] = field(default_factory=dict)
    chunks: dict[str, bytes] = field(default_factory=dict)
    count: int = 1

    def after(self, delta: Delta, new: dict[str, bytes], count: int) -> "Stored":
        """With a commit applied; it may refer to nothing that is not there."""
        assert set(delta.add) <= set(new), "a chunk that is named was not given"
        assert not set(new) & set(self.chunks), "a chunk that the store has was given again"
        entries = {name: data for name, data in self.entries.items() if name not in delta.delete} | delta.put
        dropped = set(delta.drop) - set(delta.add)
        chunks = {name: data for name, data in {**self.chunks, **new}.items() if name not in dropped}
        return Stored(entries, chunks, count)

    def fetch(self, names: Sequence[str]) -> Iterator[bytes | None]:
        return (self.chunks.get(name) for name in names)


@dataclass
class Step:
    """What one cell showed, and what was to be seen after it."""

    shown: str
    shape: str
    stored: Stored | None = None
    missed: list[str] = field(default_factory=list)
    """Entries that only a look at everything found changed."""


@dataclass
class Leg:
    """What a process saw: the shape it began with, and its cells."""

    arrival: str
    steps: list[Step]
    failure: str = ""


def _tell_where(*_: Any) -> NoReturn:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_SECONDS)
    raise TimeoutError(f"nothing happened for {_WAIT} s")


class Nursery:
    """Made in a process without threads; every leg is a fork of it."""

    def __init__(self, plant: str, preload: Sequence[str] = ("numpy", "pandas")) -> None:
        self._plant = PLANTS[plant]
        gc.disable()
        self._app = WorkerApp.instance()
        self._app.initialize([])
        for name in preload:
            __import__(name)
        runtime.settle(self._app)
        self._app.shell._format_exception_for_storage = lambda *_, **__: {}  # slow, and looked at by nobody
        self._engine = StateEngine(self._app.shell, KEY)  # here and not in each process: it takes a while
        gc.collect()
        gc.freeze()

    def plain(self, cells: Sequence[str]) -> Leg:
        """The cells in one process that knows nothing of states."""
        return self._fork(None, cells, ())

    def leg(self, stored: Stored, cells: Sequence[str], refused: Sequence[bool] = ()) -> Leg:
        """The cells from a stored state, taken after each; commits that are refused count as never made."""
        return self._fork(stored, cells, refused or [False] * len(cells))

    def _fork(self, stored: Stored | None, cells: Sequence[str], refused: Sequence[bool]) -> Leg:
        out, into = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(out)
            self._live(into, stored, cells, refused)
        os.close(into)
        with os.fdopen(out, "rb") as pipe:
            data = pipe.read()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if not data:
            return Leg("", [], f"the process died: {status}")
        return pickle.loads(data)

    def _live(
        self, into: int, stored: Stored | None, cells: Sequence[str], refused: Sequence[bool]
    ) -> NoReturn:
        try:
            signal.signal(signal.SIGALRM, _tell_where)
            signal.alarm(_WAIT)
            resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS + 1))
            random.seed(0)  # a fork has a seed of its own
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
            null = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)
            child = _Child(self._app.shell, self._engine, stored, self._plant)
            leg = child.run(cells, refused)
        except BaseException:
            leg = Leg("", [], traceback.format_exc())
        with os.fdopen(into, "wb") as pipe:
            pickle.dump(leg, pipe)
        os._exit(0)


class _Child:
    def __init__(self, shell: Any, engine: StateEngine, stored: Stored | None, plant: Plant) -> None:
        self._shell, self._engine, self._stored, self._plant = shell, engine, stored, plant
        shell.showtraceback = self._show_error
        if stored is not None and stored.entries:
            self._engine.restore(stored.entries, stored.fetch)
            self._engine.require()

    def run(self, cells: Sequence[str], refused: Sequence[bool]) -> Leg:
        leg = Leg(shape_of(self._shell), [])
        for number, cell in enumerate(cells):
            sys._gate = threading.Event()  # type: ignore[attr-defined]
            step = Step(self._execute(cell), "")
            if self._stored is not None:
                step.stored = self._commit(refused[number])
            step.shape = shape_of(self._shell)
            self._let_threads_end()
            leg.steps.append(step)
        return leg

    def _execute(self, cell: str) -> str:
        streams = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = shown = io.StringIO()
        try:
            self._shell.run_cell(cell, store_history=True)
        finally:
            sys.stdout, sys.stderr = streams
        ended = self._shell.last_execution_result
        ended.error_before_exec = ended.error_in_exec = None  # it would keep alive what it is about
        gc.collect()  # at the same moment in all processes, and at no other
        return shown.getvalue()

    def _commit(self, refused: bool) -> Stored | None:
        new: dict[str, bytes] = {}
        with self._plant(self._shell.user_ns):
            delta = self._engine.capture(
                lambda name, data: new.update({name: bytes(data)}), everything=threading.active_count() > 1
            )
        unsaved = [pin.reason for pin in delta.pinned if "not saved" in pin.reason]
        assert not unsaved, unsaved
        if refused:
            return None
        self._stored = self._stored.after(delta, new, self._shell.execution_count)
        self._engine.acknowledge()
        return self._stored

    def _let_threads_end(self) -> None:
        """Threads that wait for the gate do what they do after their cell, before the next."""
        sys._gate.set()  # type: ignore[attr-defined]
        for thread in threading.enumerate():
            if thread.name.startswith("Thread-"):
                thread.join()

    def _show_error(self, *_: Any, **__: Any) -> None:
        kind, value, _ = sys.exc_info()
        print(kind.__name__, value)
