"""Writes the stories: after each cell, what was lost by it, and which lost things it could reach."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from kernel_broker.wire.records import is_shells
from kernel_broker.worker.state.pickling.losses import Loss
from kernel_broker.worker.state.reach import Reach
from kernel_broker.worker.state.recompute.book import Book, Grave, Step, Story
from kernel_broker.worker.state.recompute.inputs import Fingerprints, reach, tell
from kernel_broker.worker.state.recompute.switch import Recomputing
from kernel_broker.worker.state.recompute.text import Text, read
from kernel_broker.worker.state.table import Table
from kernel_broker.worker.state.tombstone import Tombstone, pin_of

_UNASKED = "ran beside code that may reach it unasked"
_DENIED = ("threading.", "multiprocessing.", "subprocess.", "concurrent.", "asyncio.", "_asyncio.")
"""Types of what works on by itself: to make it again is to do its work again."""

Tombs = tuple[tuple[str, Tombstone], ...]
"""Lost variables. Not in lists and dicts: what is found there takes part in the session."""


@dataclass(frozen=True)
class Happening:
    """What the engine knows of what ran since the last commit."""

    before: Table
    after: Table
    cell: int | None
    ran: bool
    seen: Reach
    alone: bool
    """Whether neither threads nor tasks ran too, and no variable leads to all others."""
    settled: bool
    """Whether `before` is what the session was when the cell began."""
    unasked: list[str] = field(default_factory=list)
    """Labels of code that the cell need not name."""


class Recorder:
    """Keeps the book of one shell."""

    def __init__(self, shell: Any, switch: Recomputing) -> None:
        self._shell = shell
        self._switch = switch
        self._cells: list[tuple[str, bool]] = []
        self.text: Text | None = None
        """The cell that runs."""
        self._packed: dict[str, str] = {}
        self.again: dict[str, Story] = {}
        """Stories of what was made again since the last commit, by name."""

    @property
    def book(self) -> Book:
        """The stories."""
        return self._switch.book

    def cell_begins(self, source: str, table: Table) -> None:
        """A cell is about to run on what a table has."""
        self.text = read(self._shell.transform_cell(source), self._shell.compile.flags)
        labels = reach(table, self.text.reads) if self.text is not None else None
        told = {
            label for story in self.book.living.values() for it in story.steps.values() for label in it.inputs
        }
        self._packed = self.packed(table, told | (labels or set()))

    def cell_ends(self, source: str, succeeded: bool) -> None:
        """It has run."""
        self._cells.append((source, succeeded))

    def packed(self, table: Table, labels: Iterable[str]) -> dict[str, str]:
        """In words, what some labels stand for, as far as they are stored many to a unit."""
        found = (label for label in labels if label in table.units and table.units[label].packed)
        return {label: tell(self._value(label)) for label in found}

    def _value(self, label: str) -> Any:
        kind, _, name = label.partition(":")
        if kind == "o":
            return self._shell.history_manager.output_hist.get(int(name))
        return self._shell.user_ns.get(name)

    def tombs(self) -> Tombs:
        """Variables of the user's that are lost."""
        space = self._shell.user_ns.items()
        return tuple((name, it) for name, it in space if type(it) is Tombstone and not is_shells(name))

    def record(self, it: Happening) -> None:
        """Write down what has happened."""
        losses = [found for unit in it.after.losses.values() for found in unit.losses]
        known = {loss.key for unit in it.before.losses.values() for loss, _ in unit.losses}
        new = [loss for loss, _ in losses if loss.key not in known and loss.key not in self.book.living]
        text, obstacle = self._what_ran(it)
        stories, hindered = self._touched(it, text)
        if new or stories:
            obstacle = hindered or obstacle or _denied(new) or (_UNASKED if _is_reached_unasked(it) else "")
            step = self._step(it, text, obstacle, stories)
            story = self.book.join(stories)
            story.add(step)
            self.book.living.update({loss.key: story for loss in new})
        tombs = {_grave(tomb) for _, tomb in self.tombs()}
        self.book.settle(((loss.key, (loss.name, cell)) for loss, cell in losses), tombs)
        self._cells, self._packed, self.text, self.again = [], {}, None, {}

    def _what_ran(self, it: Happening) -> tuple[Text | None, str]:
        """The one cell that ran, and what is in the way of running it again."""
        if not it.ran or len(self._cells) != 1:
            return None, "is not all that ran"
        _, succeeded = self._cells[0]
        text = self.text
        if text is None or not it.seen.names <= text.names | self.again.keys():
            return None, "is not all that ran"
        if text.obstacle or not succeeded:
            return text, text.obstacle or "failed"
        if not it.alone:
            return text, "did not run alone"
        return text, "" if it.settled else "ran when the session could not be saved"

    def _touched(self, it: Happening, text: Text | None) -> tuple[list[Story], str]:
        """The stories of what could be reached by what ran; an obstacle, if not by the cell's own code."""
        told = self._told(it.before)
        everything = list({id(story): story for found in told.values() for story in found}.values())
        if not it.ran:  # a message of a front end's, or a look at everything
            return (everything, _UNASKED) if it.alone and _is_reached_unasked(it) else ([], "")
        blind = it.seen.anything or not it.alone
        labels = None if blind else reach(it.before, text.mentions if text is not None else it.seen.names)
        if labels is None:
            return everything, "" if blind else "may reach more than its text tells"
        found = [story for label in labels for story in told.get(label, ())]
        return list({id(story): story for story in found}.values()), ""

    def _told(self, table: Table) -> dict[str, list[Story]]:
        """The stories of living things, by the labels that lead to them."""
        told: dict[str, list[Story]] = {}
        for name, story in self.again.items():
            unit = table.units.get("v:" + name)
            told |= {label: [story] for label in (unit.labels if unit is not None else ())}
        living = self.book.living
        for unit in table.losses.values():
            stories = [living[loss.key] for loss, _ in unit.losses if loss.key in living]
            for label in unit.labels if stories else ():
                told.setdefault(label, []).extend(stories)
        return told

    def _step(self, it: Happening, text: Text | None, obstacle: str, stories: Iterable[Story]) -> Step:
        step = Step(self.book.begin(), it.cell, obstacle=obstacle)
        if text is None or obstacle:
            return step
        labels = reach(it.before, text.reads)
        if labels is None:
            return replace(step, obstacle="may reach more than its text tells")
        labels |= {"v:" + name for name in text.reads}
        labels |= {label for story in stories for other in story.ordered for label in other.inputs}
        told = self._told(it.before)
        known = {label for label in labels if label not in told and not _is_alive(it.before, label)}
        if any(_is_alive(it.before, label) and label not in told for label in labels):
            return replace(step, obstacle="had to do with what was made while recompute was off")
        bound = [label[2:] for label, cell in it.after.cells.items() if cell == it.cell and label[:2] == "v:"]
        now = Fingerprints(it.after, self.packed(it.after, ("v:" + name for name in bound)))
        then = Fingerprints(it.before, self._packed)
        ambient = (then if it.before.units else now).ambient()  # of a first cell only the end is known
        source = self._cells[0][0]
        left = {name: now.of_variable(name) for name in bound}
        return replace(step, source=source, inputs=then.of_all(known) | ambient, left=left)


def _is_reached_unasked(it: Happening) -> bool:
    """Whether code that the cell need not name can reach anything that lives only in this process."""
    labels = reach(it.after, (), it.unasked)
    return labels is None or any(_is_alive(it.after, label) for label in labels)


def _is_alive(table: Table, label: str) -> bool:
    """Whether a label leads to something that lives only in this process."""
    unit = table.units.get(label)
    return unit is not None and bool(unit.losses)


def _denied(losses: Iterable[Loss]) -> str:
    return "started what works on by itself" if any(it.type.startswith(_DENIED) for it in losses) else ""


def _grave(tomb: Tombstone) -> Grave:
    pin = pin_of(tomb)
    return pin.name, pin.cell
