"""Programs from a seed: cells, and where they may be moved."""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from string import Formatter

from templates import MADE, NAMES, PRELUDE, STATEMENTS, WEIGHTS

_WORD = re.compile(r"\b[A-Za-z_]\w*\b")
_SEES_ENDS = re.compile(r"weakref|Noisy|\{W\}")
"""Templates that show when an object ends."""

_HOLDS_UNSEEN = re.compile(r"\b(zip|enumerate)\(\{")
"""Templates for what keeps an object that it shows to nobody, in the process that made it only."""

_KINDS = {name: kind for kind, names in NAMES.items() if kind != "X" for name in names}


@dataclass(frozen=True)
class Part:
    """The statements of each cell; `made` says how a name that they use is made at first."""

    statements: tuple[tuple[str, ...], ...]
    made: tuple[tuple[str, str], ...]
    halves: bool

    @property
    def cells(self) -> list[str]:
        """What is run: first all that the statements need, then they."""
        needs: dict[str, str] = {}
        for cell in self.statements:
            for statement in cell:
                _gather(statement, dict(self.made), needs)
        pieces = list(dict.fromkeys(filter(None, needs.values())))
        half = len(pieces) // 2 if self.halves else 0
        first = ["\n".join(part) for part in (pieces[:half], pieces[half:]) if part]
        return [*first, *("\n".join(cell) for cell in self.statements)]

    def smaller(self) -> Iterator["Part"]:
        """Without one of its cells, or without one of the statements of a cell."""
        for number, cell in enumerate(self.statements):
            before, after = self.statements[:number], self.statements[number + 1 :]
            yield replace(self, statements=before + after)
            if len(cell) > 1:
                for place in range(len(cell)):
                    yield replace(self, statements=(*before, cell[:place] + cell[place + 1 :], *after))
        if self.halves:
            yield replace(self, halves=False)


@dataclass(frozen=True)
class Sitting:
    """Programs run one after the other in one session: each finds what the former ones left."""

    seed: str
    parts: tuple[Part, ...]
    travels: bool

    @property
    def cells(self) -> list[str]:
        """All that is run."""
        return [cell for part in self.parts for cell in part.cells]

    def smaller(self) -> Iterator["Sitting"]:
        """Ones with a little less."""
        for number, part in enumerate(self.parts):
            before, after = self.parts[:number], self.parts[number + 1 :]
            if before or after:
                yield replace(self, parts=before + after)
            for less in part.smaller():
                yield replace(self, parts=(*before, less, *after))


def _gather(text: str, made: dict[str, str], needs: dict[str, str]) -> None:
    """What the words of a text need, what that needs before it."""
    for word in _WORD.findall(text):
        if word in needs or (word not in PRELUDE and word not in made):
            continue
        needs[word] = ""  # a circle ends here
        piece = PRELUDE.get(word) or made.get(word, "")
        _gather(piece, made, needs)
        del needs[word]
        needs[word] = piece


def generate(seed: str, programs: int) -> Sitting:
    """The programs of a seed."""
    dice = random.Random(seed)
    travels = dice.random() < 0.85
    mortal = travels and dice.random() < 0.5
    parts = [_part(dice, travels, mortal, last=number + 1 == programs) for number in range(programs)]
    return Sitting(seed, tuple(parts), travels)


def _part(dice: random.Random, travels: bool, mortal: bool, last: bool) -> Part:
    """`mortal` ones see when objects end, and have nothing that holds others in its process only."""
    left_out = {"live"} if travels else set()
    if not mortal:
        left_out.add("weak")
    taboo = _HOLDS_UNSEEN if mortal else _SEES_ENDS
    if not last:
        left_out.add("lasting")  # hooks would have the parts after it looked at with other eyes
    groups = [group for group in WEIGHTS if group not in left_out]
    liked = dice.sample(groups, 3) if travels else ["live", *dice.sample(groups, 2)]
    weights = [WEIGHTS[group] * (5 if group in liked else 1) for group in groups]
    names = {kind: dice.sample(names, min(len(names), dice.choice((1, 1, 2)) if kind != "X" else 8))
             for kind, names in NAMES.items()}  # fmt: skip
    chosen = {group: _allowed(STATEMENTS[group], taboo) for group in groups}
    cells = tuple(_cell(dice, chosen, weights, names) for _ in range(dice.randint(2, 6)))
    ways = {kind: _allowed(templates, taboo) or [""] for kind, templates in MADE.items()}
    made = tuple((name, _made(dice, kind, name, ways[kind])) for name, kind in _KINDS.items())
    return Part(cells, made, halves=dice.random() < 0.5)


def _allowed(templates: list[str], taboo: re.Pattern[str]) -> list[str]:
    return [template for template in templates if not taboo.search(template)]


def _cell(
    dice: random.Random, chosen: dict[str, list[str]], weights: list[int], names: dict[str, list[str]]
) -> tuple[str, ...]:
    statements = []
    for group in dice.choices(list(chosen), weights, k=dice.choice((1, 1, 1, 2, 3))):
        statement = _fill(dice, dice.choice(chosen[group]), names)
        if statement.startswith("%%"):
            return (statement,)
        statements.append(statement)
    return tuple(statements)


def _made(dice: random.Random, kind: str, name: str, ways: list[str]) -> str:
    text = dice.choice(ways)
    if kind == "K":
        return _fill(dice, text, {**NAMES, "K": (name,)})
    return f"{name} = {_fill(dice, text, NAMES)}"


def _fill(dice: random.Random, template: str, names: dict) -> str:
    """A template with a name at every place; each place has its own draw."""
    out = []
    for text, field, _, _ in Formatter().parse(template.removeprefix("!")):
        out.append(text)
        if field is not None:
            out.append(dice.choice(names[field]))
    return "".join(out)
