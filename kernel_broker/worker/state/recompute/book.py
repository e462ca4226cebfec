"""The stories of objects that live only in their process: which cells made them and had to do with them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MOST_STEPS = 100
LONGEST = 256 * 1024
"""Cells of a story, and characters of all of them, that are kept."""

Grave = tuple[str, int | None]
"""What a tombstone says of itself: the name it had, and the cell that made it."""


@dataclass(frozen=True)
class Step:
    """One cell of a story."""

    number: int
    """Its place in the session."""
    cell: int | None
    source: str = ""
    inputs: dict[str, str] = field(default_factory=dict)
    """Fingerprints, by label, of what it could read, as it was before it ran; '' for what was not there."""
    left: dict[str, str] = field(default_factory=dict)
    """The same of the variables that it bound, by name, as it left them."""
    obstacle: str = ""
    """Why it cannot be run again, after its name; empty if nothing is known."""


@dataclass
class Story:
    """Objects whose cells must be run together, and those cells."""

    steps: dict[int, Step] = field(default_factory=dict)
    refusal: str = ""
    """Why it could not be told in this process."""

    def add(self, step: Step) -> None:
        """Go on with a step. Of a story that cannot be told, only the reason is kept."""
        if self.obstacle:
            return
        steps = [*self.steps.values(), step]
        if len(steps) > MOST_STEPS or sum(len(it.source) for it in steps) > LONGEST:
            step = Step(step.number, step.cell, obstacle="is one of too many that had to do with it")
        if step.obstacle:
            self.steps.clear()
        self.steps[step.number] = step

    @property
    def ordered(self) -> list[Step]:
        """Its steps, the first one first."""
        return [self.steps[number] for number in sorted(self.steps)]

    @property
    def obstacle(self) -> str:
        """Why it cannot be told again; empty if nothing is known to be in the way."""
        return next((f"cell [{step.cell}] {step.obstacle}" for step in self.ordered if step.obstacle), "")


@dataclass
class Book:
    """All stories of one session."""

    graves: dict[Grave, Story] = field(default_factory=dict)
    """By what a tombstone will say: this is what is stored."""
    living: dict[int, Story] = field(default_factory=dict)
    """By the object's id, of objects in this process."""
    next: int = 1

    def begin(self) -> int:
        """The number of a new step."""
        self.next += 1
        return self.next - 1

    def join(self, stories: Iterable[Story]) -> Story:
        """One story instead of several."""
        parts = {id(story): story for story in stories}
        told = [step for story in parts.values() for step in story.steps.values()]
        joined = Story()
        for step in sorted(told, key=lambda it: (not it.obstacle, it.number)):
            joined.add(step)
        for shelf in (self.graves, self.living):
            for key, story in shelf.items():
                if id(story) in parts:
                    shelf[key] = joined  # type: ignore[index]
        return joined

    def settle(self, losses: Iterable[tuple[int, Grave]], tombs: set[Grave]) -> None:
        """Forget the stories of what is no more: neither among the losses nor a variable's tombstone."""
        alive = {key: grave for key, grave in losses if key in self.living}
        self.living = {key: self.living[key] for key in alive}
        self.graves = {grave: story for grave, story in self.graves.items() if grave in tombs}
        for key, grave in alive.items():
            other = self.graves.get(grave)
            if other is not None and other is not self.living[key]:
                self.join((other, self.living[key]))
            self.graves[grave] = self.living[key]

    def clear(self) -> None:
        """Forget everything."""
        self.graves, self.living = {}, {}

    def to_plain(self) -> list[Any]:
        """What is stored."""
        stories = list({id(story): story for story in self.graves.values()}.values())
        places = {id(story): place for place, story in enumerate(stories)}
        steps = [
            [(it.number, it.cell, it.source, it.inputs, it.left, it.obstacle) for it in story.ordered]
            for story in stories
        ]
        graves = [(name, cell, places[id(story)]) for (name, cell), story in self.graves.items()]
        return [self.next, steps, graves]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> "Book":
        """What was stored."""
        number, stories, graves = plain
        told = [Story({it[0]: Step(*it) for it in steps}) for steps in stories]
        return cls({(name, cell): told[place] for name, cell, place in graves}, {}, number)
