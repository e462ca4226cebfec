"""Runs the cells of a story in the namespace, and puts that back: what they bound is handed out apart."""

import gc
import linecache
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import CellType, CodeType
from typing import Any

from IPython.utils.capture import capture_output

from kernel_broker.worker.state.recompute.book import Step
from kernel_broker.worker.state.recompute.text import read, without
from kernel_broker.worker.state.tombstone import Tombstone


class Refused(Exception):
    """A story cannot be told again; the message says why."""


@dataclass(frozen=True)
class Cell:
    """A step that is ready to run."""

    step: Step
    code: CodeType


def prepare(shell: Any, step: Step, present: Collection[str], theirs: Collection[str]) -> Cell:
    """A step less those of its definitions that are `present` as it left them. Raises `Refused`.

    `theirs` are the variables that nobody has bound since: none of its definitions may have changed there.
    """
    source = shell.transform_cell(step.source)
    text = read(source, shell.compile.flags)
    if text is None:
        raise Refused(f"cell [{step.cell}] cannot be read any more")
    for name in text.defines.intersection(theirs).difference(present):
        raise Refused(f"its inputs have changed since cell [{step.cell}]: '{name}'")
    name = f"<cell [{step.cell}], run again>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    code = compile(without(text.tree, present), name, "exec", shell.compile.flags, dont_inherit=True)
    return Cell(step, code)


def run(space: dict[str, Any], cells: Sequence[Cell], users: Collection[str]) -> dict[str, Any]:
    """Run cells one after the other, and put the namespace back; what they bound. Raises what they raise.

    Each finds its inputs as they were: those that were not there are away, if they are names of the `users`.
    """
    before = dict(space)
    made: dict[str, Any] = {}
    try:
        for cell in cells:
            _set_up(space, before, cell.step, users)
            start = dict(space)
            exec(cell.code, space)
            made |= {name: it for name, it in space.items() if name not in start or start[name] is not it}
    finally:
        space.clear()
        space.update(before)
    return made


def _set_up(space: dict[str, Any], before: dict[str, Any], step: Step, users: Collection[str]) -> None:
    for label, then in step.inputs.items():
        kind, _, name = label.partition(":")
        if kind != "v":
            continue
        if not then:
            if name in users or name not in before:
                space.pop(name, None)
        elif name in before and type(before[name]) is not Tombstone:
            space[name] = before[name]


def replace(tomb: Tombstone, found: Any) -> None:
    """Put an object where its tombstone is held: in lists, dicts, attributes and closures."""
    for holder in gc.get_referrers(tomb):  # no comprehension here: its cell would be among them
        if type(holder) is list:
            for place, item in enumerate(holder):
                if item is tomb:
                    holder[place] = found
        elif isinstance(holder, dict):
            for key, item in list(holder.items()):
                if item is tomb:
                    dict.__setitem__(holder, key, found)
        elif type(holder) is CellType:
            holder.cell_contents = found


@contextmanager
def silenced(shell: Any) -> Iterator[None]:
    """Let nothing be shown for the block, as it was when the cells first ran, and nothing be asked for."""
    kernel = shell.kernel
    allowed, kernel._allow_stdin = kernel._allow_stdin, False
    try:
        with capture_output():
            yield
    finally:
        kernel._allow_stdin = allowed
