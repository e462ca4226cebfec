"""Settings of the standard library: warnings, logging, decimal arithmetic, builtins."""

import builtins
import copyreg
import importlib
import logging
import sys
import warnings
from typing import Any

from kernel_broker.worker.state.pickling.modules import find_home, is_static
from kernel_broker.worker.state.providers.contract import Provider


class Warnings(Provider):
    """The filters."""

    name = "warnings"
    in_graph = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._pristine = list(warnings.filters)

    def collect(self) -> Any:
        """All of them, if they are not those of a fresh process."""
        return list(warnings.filters) if warnings.filters != self._pristine else None

    def apply(self, value: list[Any]) -> None:
        """Set them."""
        warnings.filters[:] = value  # type: ignore[index]
        warnings._filters_mutated()  # type: ignore[attr-defined]


class Logging(Provider):
    """Loggers whose level, handlers, filters or flags differ from a fresh process."""

    name = "logging"
    in_graph = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._pristine = {name: _logger_state(logger) for name, logger in _loggers().items()}
        self._disabled = logging.root.manager.disable

    def collect(self) -> Any:
        """Their states by name."""
        fresh = self._pristine
        changed = {
            name: state
            for name, logger in _loggers().items()
            if (state := _logger_state(logger)) != fresh.get(name, _FRESH)
        }
        disabled = logging.root.manager.disable
        return (changed, disabled) if changed or disabled != self._disabled else None

    def apply(self, value: Any) -> None:
        """Set them."""
        changed, disabled = value
        for name, (level, propagate, off, handlers, filters) in changed.items():
            logger = logging.getLogger(name or None)
            logger.setLevel(level)
            logger.propagate, logger.disabled = propagate, off
            logger.handlers[:], logger.filters[:] = handlers, filters
        logging.disable(disabled)


_FRESH = (0, True, False, (), ())


def _loggers() -> dict[str, logging.Logger]:
    known = list(logging.root.manager.loggerDict.items())
    return {"": logging.root} | {name: it for name, it in known if isinstance(it, logging.Logger)}


def _logger_state(logger: logging.Logger) -> tuple[Any, ...]:
    return logger.level, logger.propagate, logger.disabled, (*logger.handlers,), (*logger.filters,)


class Decimals(Provider):
    """The context of decimal arithmetic."""

    name = "decimal"
    needs = "decimal"

    _PLAIN = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")

    def collect(self) -> Any:
        """Its members, if they are not those of a fresh one."""
        decimal: Any = sys.modules["decimal"]
        now, fresh = decimal.getcontext(), decimal.DefaultContext
        if repr(now) == repr(fresh):
            return None
        signals = {
            "flags": [signal.__name__ for signal, on in now.flags.items() if on],
            "traps": [signal.__name__ for signal, on in now.traps.items() if on],
        }
        return {name: getattr(now, name) for name in self._PLAIN} | signals

    def apply(self, value: dict[str, Any]) -> None:
        """Set them."""
        decimal: Any = importlib.import_module("decimal")
        context = decimal.getcontext()
        for name in self._PLAIN:
            setattr(context, name, value[name])
        for kind in ("flags", "traps"):
            table = getattr(context, kind)
            for signal in table:
                table[signal] = signal.__name__ in value[kind]


class Copying(Provider):
    """Ways of pickling that cells registered for a type."""

    name = "copyreg"
    in_graph = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._pristine = dict(copyreg.dispatch_table)

    def collect(self) -> Any:
        """Functions by type."""
        now = copyreg.dispatch_table
        if now == self._pristine:
            return None
        added = {kind: way for kind, way in now.items() if self._pristine.get(kind) is not way}
        return {kind: way for kind, way in added.items() if not _is_librarys(way) or _is_users(kind)} or None

    def apply(self, value: dict[Any, Any]) -> None:
        """Register them."""
        copyreg.dispatch_table.update(value)


def _is_librarys(way: Any) -> bool:
    """Whether a library made it; it may have deleted the name, as numpy does."""
    module = sys.modules.get(getattr(way, "__module__", None) or "")
    return find_home(way) is not None or (module is not None and is_static(module, module.__name__))


def _is_users(kind: Any) -> bool:
    """Whether a type was made in a cell: what a library registers for its own, it registers again."""
    return getattr(kind, "__module__", None) == "__main__"


class Builtins(Provider):
    """Names that were added to the builtins, bound anew there, or deleted."""

    name = "builtins"
    in_graph = True

    def collect(self) -> Any:
        """Their values, and the names that are gone."""
        pristine, overridden = self.calm.pristine, self.calm.overridden
        added = {name: value for name, value in vars(builtins).items() if name not in pristine}
        added.pop("_", None)
        bound = added | {name: value for name, value in overridden.items() if value is not self.calm.ABSENT}
        gone = [name for name, value in overridden.items() if value is self.calm.ABSENT]
        return (bound, gone) if bound or gone else None

    def apply(self, value: tuple[dict[str, Any], list[str]]) -> None:
        """Set them, once the engine no longer needs its own."""
        bound, gone = value
        self.calm.overridden.update(bound | dict.fromkeys(gone, self.calm.ABSENT))
