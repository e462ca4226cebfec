"""What cells register with modules of the standard library by calling them, and these can be asked for."""

import calendar
import csv
import gc
import signal
import sys
import time
from typing import Any

from kernel_broker.worker.state.pickling.modules import find_home
from kernel_broker.worker.state.providers.contract import Provider

_SQLITE = "sqlite3.dbapi2"
"""Registers ways of its own, under names that nobody finds again."""


class Registrations(Provider):
    """Dialects of csv, adapters and converters of sqlite3, the opener of urllib, the first day of weeks."""

    name = "registrations"
    in_graph = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._dialects = set(csv.list_dialects())
        sqlite: Any = sys.modules.get(_SQLITE)
        self._ways = [*sqlite.adapters.values(), *sqlite.converters.values()] if sqlite is not None else []

    def collect(self) -> Any:
        """What a fresh process does not have."""
        dialects = sorted({*csv.list_dialects()} - self._dialects)
        sqlite: Any = sys.modules.get(_SQLITE)
        urllib: Any = sys.modules.get("urllib.request")
        found = {
            "dialects": {name: csv.get_dialect(name) for name in dialects},
            "adapters": self._users(sqlite.adapters) if sqlite is not None else {},
            "converters": self._users(sqlite.converters) if sqlite is not None else {},
            "opener": urllib._opener if urllib is not None and self._installs_opener() else None,
            "weeks": calendar.firstweekday(),
        }
        return found if any(found.values()) else None

    def _users(self, table: dict[Any, Any]) -> dict[Any, Any]:
        fresh = self._ways
        return {
            key: way
            for key, way in table.items()
            if all(way is not it for it in fresh)
            and getattr(way, "__module__", None) != _SQLITE
            and find_home(way) is None
        }

    def _installs_opener(self) -> bool:
        """Whether a cell does: the one that urllib makes for itself is of no interest, and may not travel."""
        return any("install_opener" in cell for cell in self.shell.history_manager.input_hist_parsed)

    def apply(self, value: dict[str, Any]) -> None:
        """Register it again."""
        for name, dialect in value["dialects"].items():
            csv.register_dialect(name, dialect)
        if value["adapters"] or value["converters"]:
            from sqlite3 import dbapi2

            dbapi2.adapters.update(value["adapters"])
            dbapi2.converters.update(value["converters"])
        if value["opener"] is not None:
            from urllib.request import install_opener

            install_opener(value["opener"])
        calendar.setfirstweekday(value["weeks"])


class Collector(Provider):
    """How the garbage collector was set, and the alarm that is to ring."""

    name = "collector"
    late = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._pristine = gc.get_threshold()

    def collect(self) -> Any:
        """What is different."""
        thresholds = gc.get_threshold()
        due, every = signal.getitimer(signal.ITIMER_REAL)
        alarm = (round(time.time() + due), every) if due else None
        on = self.calm.collecting
        if on and thresholds == self._pristine and alarm is None:
            return None
        return on, thresholds, alarm

    def apply(self, value: Any) -> None:
        """Set it; an alarm that is overdue rings soon."""
        on, thresholds, alarm = value
        self.calm.collecting = on
        gc.set_threshold(*thresholds)
        if alarm is not None:
            signal.setitimer(signal.ITIMER_REAL, max(alarm[0] - time.time(), 0.01), alarm[1])
