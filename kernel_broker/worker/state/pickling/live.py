"""Objects of the process that a state refers to but does not contain: the namespace, In, Out, the shell …

Exact builtins among them pickle would write without asking: it starts with these in its memo, and so does the
unpickler. For all others the pickler asks, and they are written as calls of `live_object`.
"""

import asyncio
import builtins
import importlib
import operator
import os
import pickle
import sys
from collections.abc import Callable
from typing import Any

NEEDED = {31: "argparse", 32: "decimal"}
"""Modules that must be loaded for a live object to be there."""

_Getter = Callable[[Any], Any]

LIVE: dict[int, _Getter] = {
    0: lambda shell: shell.user_ns,
    1: lambda shell: shell.history_manager.input_hist_parsed,
    2: lambda shell: shell.history_manager.output_hist,
    3: lambda shell: shell,
    4: lambda shell: shell.history_manager.dir_hist,
    5: lambda shell: shell.user_ns_hidden,
    6: lambda shell: shell.history_manager.input_hist_raw,
    7: lambda shell: shell.history_manager,
    8: lambda shell: shell.displayhook,
    9: lambda shell: shell.display_pub,
    10: lambda shell: shell.display_formatter,
    11: lambda shell: shell.events,
    12: lambda shell: shell.magics_manager,
    13: lambda shell: shell.compile,
    14: lambda shell: shell.config,
    15: lambda shell: getattr(shell, "kernel", None),
    16: lambda shell: shell.exiter,
    17: lambda _: builtins.__dict__,
    18: lambda _: sys.modules,
    19: lambda _: sys.path,
    20: lambda _: os.environ,
    21: lambda _: sys.stdin,
    22: lambda _: sys.stdout,
    23: lambda _: sys.stderr,
    24: lambda _: sys.__stdin__,
    25: lambda _: sys.__stdout__,
    26: lambda _: sys.__stderr__,
    27: lambda _: _loop(),
    28: lambda _: sys.meta_path,
    29: lambda _: sys.argv,
    30: lambda shell: shell.user_module,
    32: lambda _: sys.modules["decimal"].getcontext() if "decimal" in sys.modules else None,
    31: lambda _: getattr(
        sys.modules.get("argparse"), "SUPPRESS", None
    ),  # a string that is asked for by `is`
}
"""Numbers are part of the format: never re-used."""

SEEDS = (0, 1, 2, 4, 5, 6, 17, 18, 19, 28, 29, 31)
"""Those that are exact builtins, in the order of the memo: part of the format."""


def _loop() -> Any:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def parts_of(shell: Any) -> list[Any]:
    """What a shell is made of, and can be configured."""
    return [*shell.configurables, *shell.display_formatter.formatters.values()]


class _Found(dict[Any, Any]):
    """Live objects by number; those that are not in it are looked for."""

    find: _Getter

    def __missing__(self, number: Any) -> Any:
        return self.find(number)


class LiveObjects:
    """The live objects of one shell (made while that is pristine)."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._streams = {21: sys.stdin, 22: sys.stdout, 23: sys.stderr}
        """As they are before a cell puts a stream of its own in their place."""

        self._parts = {id(part): part for part in parts_of(shell)}
        self._found: dict[int, Any] = {}
        self.seeds: dict[int, tuple[int, Any]] = {}
        """The memo that picklers start with: as of the last `look`."""

        self.numbers: dict[int, int] = {}
        """Numbers of the live objects that pickle asks about, by id: as of the last `look`."""

        self.kinds: set[type] = set()
        """The types of the live objects."""

        self._finder: Callable[[Any], Any] | None = None
        self._replaceable: tuple[Any, ...] = ()
        """What code that is run by loading may put others in the place of."""

    def part_name(self, found: Any) -> str | None:
        """The name of a part that every fresh shell has, None for anything else."""
        return type(found).__name__ if id(found) in self._parts else None

    def find(self, number: Any) -> Any:
        """The object with a number, in this process."""
        getter = LIVE.get(number)
        if getter is None:
            raise pickle.UnpicklingError(f"no live object has the number {number!r}")
        if number in self._streams:
            return self._streams[number]
        if number in NEEDED:
            importlib.import_module(NEEDED[number])
        return getter(self._shell)

    def finder(self) -> Callable[[Any], Any]:
        """The same as `find`, quick for the seeds: they are looked up once, for a series of loads."""
        now = (sys.modules, sys.path, sys.meta_path, sys.argv)
        if self._finder is None or not all(map(operator.is_, now, self._replaceable)):
            found = _Found((number, self.find(number)) for number in SEEDS)
            found.find = self.find
            self._replaceable, self._finder = now, found.__getitem__
        return self._finder

    def forget(self) -> None:
        """A series of loads is over: hold nothing for the next one."""
        self._finder, self._replaceable = None, ()

    def look(self) -> dict[int, tuple[int, Any]]:
        """Find out where the live objects are now; the memo that picklers start with."""
        found = {number: getter(self._shell) for number, getter in LIVE.items()} | self._streams
        self._found = found  # held, so that their ids stay their own
        self.numbers = {
            id(item): number for number, item in found.items() if number not in SEEDS and item is not None
        }
        self.kinds = {type(item) for item in found.values()}
        self.seeds = {}
        for place, number in enumerate(SEEDS):
            item = found[number]
            if item is None or id(item) in self.seeds:
                item = object()
            self.seeds[id(item)] = (place, item)
        return self.seeds

    def holders(self) -> list[Any]:
        """What of this refers to live objects."""
        return [self._found, *self.seeds.values()]


def prologue() -> bytes:
    """A stream that loads the seeds into the memo of an unpickler."""
    seeds = (
        pickle.BININT1 + bytes([number]) + pickle.BINPERSID + pickle.MEMOIZE + pickle.POP for number in SEEDS
    )
    return pickle.PROTO + bytes([5]) + b"".join(seeds) + pickle.NONE + pickle.STOP
