"""What a process is told to do later: signal handlers; and the last error, which `%tb` shows."""

import atexit
import importlib
import signal
import sys
from typing import Any

from kernel_broker.worker.state.providers.contract import Provider

_HELD = frozenset({signal.SIGINT, signal.SIGKILL, signal.SIGSTOP})
"""Signals that are not a cell's to handle: the kernel sets what an interrupt does before each cell."""


_handler_of = importlib.import_module("_signal").getsignal
"""Without the detour through enumerations."""


class Signals(Provider):
    """Handlers that cells set."""

    name = "signal handlers"
    in_graph = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._signals = tuple(number for number in signal.valid_signals() if number not in _HELD)
        self._pristine = self._read()

    def collect(self) -> Any:
        """Those that a fresh process does not have, by number."""
        now = self._read()
        if now == self._pristine:
            return None
        changed = {int(number): now[number] for number in now if now[number] is not self._pristine[number]}
        return {number: handler for number, handler in changed.items() if handler is not None} or None

    def apply(self, value: dict[int, Any]) -> None:
        """Set them."""
        for number, handler in value.items():
            if callable(handler) or isinstance(handler, int):
                signal.signal(number, handler)

    def _read(self) -> dict[int, Any]:
        return {number: _handler_of(number) for number in self._signals}


_PLAIN = (type(None), bool, int, float, str, bytes)


class LastError(Provider):
    """The error that the last failing cell ended with, as far as `%tb` shows it."""

    name = "last error"
    in_graph = True
    reaches = False

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._known: tuple[Any, BaseException | None] = (None, None)

    def collect(self) -> Any:
        """The error, or one that reads like it."""
        error = getattr(sys, "last_value", None)
        if error is not self._known[0]:
            self._known = error, _portable(error, 0) if isinstance(error, BaseException) else None
        return self._known[1]

    def apply(self, value: BaseException) -> None:
        """Make it the last error of this process."""
        self._known = value, value
        sys.last_type, sys.last_value, sys.last_traceback = type(value), value, value.__traceback__
        if sys.version_info >= (3, 12):
            sys.last_exc = value


def _portable(error: BaseException, depth: int) -> BaseException:
    """An error without anything that could not travel, or is not shown."""
    kind = type(error)
    if kind.__flags__ & (1 << 9) or not all(type(item) in _PLAIN for item in error.args) or vars(error):
        made: BaseException = _stand_in(kind, _text(error))
    else:
        made = kind.__new__(kind, *error.args)
        made.args = error.args
    made.__traceback__ = error.__traceback__
    made.__suppress_context__ = error.__suppress_context__
    if depth < 10:
        if error.__cause__ is not None:
            made.__cause__ = _portable(error.__cause__, depth + 1)
            made.__suppress_context__ = error.__suppress_context__
        if error.__context__ is not None:
            made.__context__ = _portable(error.__context__, depth + 1)
    return made


def _stand_in(kind: type, text: str) -> BaseException:
    names = {"__module__": str(kind.__module__), "__qualname__": kind.__qualname__}
    return type(kind.__name__, (Exception,), names)(text)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "<exception str() failed>"


class NotCarried(RuntimeError):
    """Something that a cell asked of its process, and no other process will do."""


class Exits(Provider):
    """Functions that cells registered for the end of the process, which is not the end of their session."""

    name = "atexit"
    in_graph = True
    reaches = False

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._known = atexit._ncallbacks()

    def collect(self) -> None:
        """Nothing: the cell that registers one is told, once, that it may never be called."""
        before, self._known = self._known, atexit._ncallbacks()
        cells = self.shell.history_manager.input_hist_parsed
        if self._known > before and "atexit" in cells[-1]:
            raise NotCarried("functions for the end of the process are not called: a session outlives it")
