"""A story told in a forked child first: whether it ends well, and changes nothing but what is lost."""

import enum
import gc
import os
import select
import signal
import threading
import time
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernel_broker.wire.text import from_json, to_json
from kernel_broker.worker.state.definitions import ATOMS, fingerprint
from kernel_broker.worker.state.delta import Delta
from kernel_broker.worker.state.pickling.losses import type_name
from kernel_broker.worker.state.recompute import replay
from kernel_broker.worker.state.recompute.guard import Guard, fork, open_descriptors
from kernel_broker.worker.state.recompute.inputs import shown
from kernel_broker.worker.state.recompute.recorder import Tombs
from kernel_broker.worker.state.recompute.replay import Cell, Refused
from kernel_broker.worker.state.table import Table
from kernel_broker.worker.state.tombstone import Tombstone, pin_of

_TAKING = 120.0
"""Seconds that a child is given besides, to look at the session's state."""

_MOST = 200_000
"""Objects that are looked at to see what something holds on to."""

_APART = (
    types.ModuleType,
    type,
    types.CodeType,
    types.FunctionType,
    types.BuiltinFunctionType,
    enum.Enum,
    *ATOMS,
)


@dataclass(frozen=True)
class Stage:
    """What a rehearsal plays in: the child's copy of the session."""

    shell: Any
    table: Callable[[], Table]
    """What the last capture found."""
    capture: Callable[[], Delta]
    """A capture of everything that goes nowhere, and is then what the next one is compared with."""
    print_of: Callable[[str, Any], Any]
    """What a value would be stored as."""


@dataclass(frozen=True)
class Play:
    """What is to be rehearsed."""

    cells: Sequence[Cell]
    lost: Tombs
    """The variables that should come of it."""
    users: frozenset[str]
    """Names of variables of the user's."""
    theirs: frozenset[str]
    """Those that the cells bound, and no other cell since."""
    same: frozenset[str]
    """Those that are as the cells left them."""
    seconds: float
    """How long the cells may take."""


def rehearse(play: Play, stage: Stage) -> None:
    """Run it in a child that is given up then. Raises `Refused`."""
    reading, writing = os.pipe()
    parent = os.getpid()
    descriptors = open_descriptors()
    child = fork()
    if child == 0:
        _perform(play, stage, lambda guard: guard.seal(writing, parent, descriptors), writing)
    try:
        os.close(writing)
        said = _hear(reading, play.seconds + _TAKING)
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)  # it may have ended, but is not reaped
        status = os.waitpid(child, 0)[1]
    if said:
        answer = from_json(said)
    elif os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGALRM, signal.SIGKILL):
        answer = f"its cells take longer than {play.seconds:g} s"
    else:
        answer = "its cells end their process"
    if answer:
        raise Refused(answer)


def _hear(reading: int, seconds: float) -> bytes:
    """All that the child says."""
    deadline = time.monotonic() + seconds
    said = b""
    poller = select.poll()
    poller.register(reading)
    while (left := deadline - time.monotonic()) > 0 and poller.poll(left * 1000):
        piece = os.read(reading, 65536)
        said += piece
        if not piece:
            return said
    return b""


def _perform(play: Play, stage: Stage, seal: Callable[[Guard], None], writing: int) -> None:
    """The child's whole life."""
    answer = "its rehearsal failed"
    try:
        guard = Guard()
        seal(guard)
        _rehearse(play, stage, guard)
        answer = ""
    except Refused as refusal:
        answer = str(refusal)
    except BaseException as error:
        answer = f"its rehearsal failed ({type(error).__name__}: {error})"
    finally:
        os.write(writing, to_json(answer[:500]).encode())
        os._exit(0)


def _rehearse(play: Play, stage: Stage, guard: Guard) -> None:
    _must_be_whole(stage.capture())
    before = stage.table()
    made = _run(play, stage, guard)
    names = ", ".join(f"cell [{cell.step.cell}]" for cell in play.cells)
    if guard.seen:
        raise Refused(f"{names} {guard.seen[0]}")
    check(play, made)
    _must_be_whole(stage.capture())
    if strange := _differences(before, stage.table()):
        raise Refused(f"running {names} again changes {shown(strange)}")
    found = {name: made[name] for name, _ in play.lost}
    for name, tomb in play.lost:
        replay.replace(tomb, found[name])
    again = {
        name: value
        for name, value in made.items()
        if name in play.users and name not in found and value is not stage.shell.user_ns[name]
    }
    _must_be_the_same({name: again[name] for name in again.keys() & play.same}, stage)
    _must_not_share({name: again[name] for name in again.keys() & play.theirs}, list(found.values()))


def _run(play: Play, stage: Stage, guard: Guard) -> dict[str, Any]:
    try:
        with replay.silenced(stage.shell), guard.watching(play.seconds):
            return replay.run(stage.shell.user_ns, play.cells, play.users)
    except BaseException as error:
        if guard.seen:
            return {}
        raise Refused(f"running its cells again raised {type(error).__name__}: {error}") from error
    finally:
        if threading.active_count() > 1:
            guard.seen.append("starts a thread")


def check(play: Play, made: Mapping[str, Any]) -> None:
    """What was made must be what was lost. Raises `Refused`."""
    places: dict[int, Any] = {}
    for name, tomb in play.lost:
        found = made.get(name, tomb)
        if type(found) is Tombstone:
            raise Refused(f"running its cells again does not make '{name}'")
        if type_name(type(found)) != pin_of(tomb).type:
            raise Refused(f"running its cells again makes '{name}' a {type_name(type(found))}")
        if places.setdefault(id(tomb), found) is not found:
            raise Refused(f"running its cells again makes '{name}' an object of its own")


def _must_be_whole(delta: Delta) -> None:
    if delta.failed or delta.refused is not None:
        raise Refused("the session's state cannot be taken now")


def _must_be_the_same(again: Mapping[str, Any], stage: Stage) -> None:
    """What the cells bound, and nobody changed since, must come out as it is."""
    for name, value in again.items():
        if not _is_same(name, stage.shell.user_ns[name], value, stage.print_of):
            raise Refused(f"running its cells again makes another '{name}'")


def _is_same(name: str, one: Any, other: Any, print_of: Callable[[str, Any], Any]) -> bool:
    if type(one) is not type(other):
        return False
    if type(one) is types.FunctionType and fingerprint(one) is not None:
        return bool(fingerprint(one) == fingerprint(other))
    return bool(print_of(name, one) == print_of(name, other))


def _must_not_share(again: Mapping[str, Any], found: Sequence[Any]) -> None:
    """What was made must hold nothing that its cells also gave to a variable: that one is not replaced."""
    roots = set(map(id, found))
    held = _held((part for item in found for part in gc.get_referents(item)), roots)
    for name, value in again.items():
        if not held.isdisjoint(_held([value], roots)):
            raise Refused(f"it shares objects with '{name}', which its cells would make anew")


def _held(start: Iterable[Any], apart: Collection[int]) -> set[int]:
    """Ids of the changeable objects that some objects lead to."""
    queue = list(start)
    seen: dict[int, Any] = {}
    while queue and len(seen) < _MOST:
        item = queue.pop()
        if id(item) in seen or id(item) in apart or isinstance(item, _APART) or _is_namespace(item):
            continue
        seen[id(item)] = item
        if gc.is_tracked(item):
            queue += gc.get_referents(item)
    return {key for key, item in seen.items() if not isinstance(item, tuple | frozenset)}


def _is_namespace(item: Any) -> bool:
    return isinstance(item, dict) and "__builtins__" in item


def _differences(before: Table, after: Table) -> list[str]:
    """Labels of what is not stored as it was."""
    found = [name for name, data in after.entries.items() if before.entries.get(name) != data]
    found += [name for name in before.entries if name not in after.entries]
    for label in before.units.keys() | after.units.keys():
        one, other = before.units.get(label), after.units.get(label)
        if one is None or other is None or one.record != other.record:
            found.append(label)
    return sorted(found, key=lambda label: (not label.startswith("v:"), label))
