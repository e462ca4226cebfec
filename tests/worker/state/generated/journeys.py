"""A program on its journeys, each compared with the program that stays at home.

Warm all the way, its state loaded elsewhere after some cells; moved after every cell, or at random cells with
some commits refused.
"""

import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise, zip_longest

from nursery import Leg, Nursery, Stored
from programs import Sitting

_VARYING = re.compile(
    r"0x[0-9a-f]+|object at [0-9a-f]{2,}|^(CPU times|Wall time|time):? .*$|^.* per loop .*$|/ipykernel_\d+/",
    re.MULTILINE,
)

_AGAIN = "python tests/worker/state/generated/run.py --only"

_SHRINKING = 60.0
"""Seconds to make a program smaller."""


class Lab:
    """Runs programs and counts what it does."""

    def __init__(self, thorough: bool, plant: str) -> None:
        self.thorough = thorough
        """Every journey for every program, and its state looked at after every cell."""
        self._nursery = Nursery(plant)
        self.programs = self.cells = self.moves = 0
        self._fates: Counter[str] = Counter()

    def difference(self, program: Sitting) -> str:
        """Where a journey differs from the program at home, in words; nothing if none does."""
        cells = program.cells
        home = self._nursery.plain(cells)
        if home.failure or not cells:  # such as one that does not come to an end
            reason = home.failure.strip().splitlines()[-1] if home.failure else "no cells"
            self._fates[f"programs that cannot be run ({reason})"] += 1
            return ""
        self.programs += len(program.parts)
        for step in home.steps:
            self._fates["cells that failed"] += "Error" in step.shown
        dice = random.Random(f"{program.seed} journeys")
        found = self._warm(cells, home, dice)
        often = dice.random() < 0.5
        if not found and program.travels and (self.thorough or often):
            found = self._moved(cells, home, range(len(cells) + 1), "moved after every cell")
        if not found and program.travels and (self.thorough or not often):
            found = self._moved(cells, home, *_plan(dice, len(cells)))
        return found

    def _warm(self, cells: Sequence[str], home: Leg, dice: random.Random) -> str:
        """One process; what it stores is loaded by others, which end at once."""
        where = "warm all the way"
        leg = self._leg(Stored(), cells)
        found = self._compare(where, home, leg, 0)
        looks = range(len(cells)) if self.thorough else {dice.randrange(len(cells)), len(cells) - 1}
        for number, step in enumerate(leg.steps):
            if not found and number in looks and step.stored is not None:
                arrived = self._leg(step.stored, ())
                found = arrived.failure or _unlike(home.steps[number].shape, arrived.arrival)
                where = f"warm all the way, its state after cell {number} loaded elsewhere"
        return found and f"{where}: {found}"

    def _moved(
        self, cells: Sequence[str], home: Leg, stops: Sequence[int], name: str, refused: Sequence[bool] = ()
    ) -> str:
        stored = Stored()
        for start, stop in pairwise(stops):
            leg = self._leg(stored, cells[start:stop], refused[start:stop])
            found = self._compare(f"{name}, arriving before cell {start}", home, leg, start)
            if found:
                return found
            stored = leg.steps[-1].stored
        arrived = self._leg(stored, ())
        found = arrived.failure or _unlike(home.steps[-1].shape, arrived.arrival)
        return found and f"{name}, at the end: {found}"

    def _compare(self, where: str, home: Leg, leg: Leg, start: int) -> str:
        found = leg.failure
        if not found and start:
            found = _unlike(home.steps[start - 1].shape, leg.arrival)
        for number, step in enumerate(leg.steps, start):
            shown = _VARYING.sub("", home.steps[number].shown), _VARYING.sub("", step.shown)
            found = found or _unlike(*shown, f"shown by cell {number}")
            found = found or _unlike(home.steps[number].shape, step.shape, f"after cell {number}")
        return found and f"{where}: {found}"

    def _leg(self, stored: Stored, cells: Sequence[str], refused: Sequence[bool] = ()) -> Leg:
        self.cells += len(cells)
        self.moves += 1
        return self._nursery.leg(stored, cells, refused)

    def report(self, program: Sitting, found: str, raw: bool) -> str:
        """A failure, and the smallest program that has it, or, if `raw`, the program as it is."""
        thorough, self.thorough = self.thorough, True  # a smaller program has dice of its own
        smallest = program if raw else self._shrink(program)
        again = "" if raw else self.difference(smallest)
        self.thorough = thorough
        if not (raw or again):
            found += "\n(but not when it was tried again)"
        text = "\n# --\n".join(smallest.cells)
        return f"=== {program.seed}: {_AGAIN} {program.seed}\n{text}\n--- {again or found}\n"

    def _shrink(self, program: Sitting) -> Sitting:
        cut, ends = True, time.monotonic() + _SHRINKING
        while cut:
            cut = False
            for smaller in program.smaller():
                if time.monotonic() < ends and self.difference(smaller):
                    program, cut = smaller, True
                    break
        return program

    def tally(self) -> str:
        return ", ".join(f"{number} {fate}" for fate, number in self._fates.items())


def _plan(dice: random.Random, cells: int) -> tuple[list[int], str, list[bool]]:
    stops = [0, *(n for n in range(1, cells) if dice.random() < 0.35), cells]
    refused = [dice.random() < 0.2 and number + 1 not in stops for number in range(cells)]
    return stops, f"moved after cells {stops[1:-1]}, commits refused {refused}", refused


def _unlike(expected: str, found: str, where: str = "") -> str:
    if expected == found:
        return ""
    lines = list(zip_longest(expected.splitlines(), found.splitlines(), fillvalue="(nothing)"))
    return "\n".join([where, *(_beside(*pair) for pair in lines if pair[0] != pair[1])][:6])


def _beside(expected: str, found: str) -> str:
    same = (number for number, pair in enumerate(zip(expected, found, strict=False)) if pair[0] != pair[1])
    start = max(0, next(same, min(len(expected), len(found))) - 60)
    home, away = (text[start : start + 160] for text in (expected, found))
    return f"  {expected[:20]!r} at {start}:\n    at home {home}\n    moved   {away}"
