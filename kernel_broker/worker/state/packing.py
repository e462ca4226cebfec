"""What is stored together though it shares nothing: a unit for each small thing would cost more than it does.

Atoms are written again only when they are bound anew. Packs are of short containers of nothing but short
atoms; touching one writes its pack again, and it leaves when it is no such container any more.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from kernel_broker.worker.state.draft import Draft, Group
from kernel_broker.worker.state.units import Unit

_TOGETHER = 32
"""Labels to a unit."""

_FEW = 8
"""Atoms to a unit of those that are bound again and again."""

_ITEMS = 32
_TEXT = 64
_NUMBERS = frozenset({type(None), bool, float, complex})
_CONTAINERS = frozenset({list, tuple, dict, set, frozenset})


def plan_atoms(draft: Draft) -> Iterator[Group]:
    """The groups of atoms to be written: units of which one was bound anew or is no atom any more.

    What is bound anew leaves the many that are not: the next time only the few are written again.
    """
    units, bound, atoms = draft.table.units, draft.present.bound, draft.present.atoms

    def is_home(label: str) -> bool:
        return label in units and units[label].atoms

    dirty = {id(unit): unit for unit in (units[it] for it in (*bound, *draft.present.gone) if is_home(it))}
    homeless = [label for label in bound if label in atoms and not is_home(label)]
    few: list[list[str]] = []
    for unit in dirty.values():
        kept = [label for label in unit.labels if label in atoms]
        if len(kept) <= _FEW:
            few.append(kept)
            continue
        homeless += [label for label in kept if label in bound]
        if rest := tuple(label for label in kept if label not in bound):
            yield rest
    if homeless and not few and (other := _with_room(draft, len(homeless))) is not None:
        dirty[id(other)] = other
        few.append(list(other.labels))
    draft.replaced.update(dirty)
    for kept in few:
        room = _FEW - len(kept)
        if together := (*kept, *homeless[:room]):
            yield together
        del homeless[:room]
    yield from _portions(homeless)


def _with_room(draft: Draft, count: int) -> Unit | None:
    """A unit of few atoms that so many more may join."""
    atoms = draft.present.atoms
    for unit in draft.table.units.values():
        if unit.atoms and len(unit.labels) + count <= _FEW and all(label in atoms for label in unit.labels):
            return unit
    return None


def pack(draft: Draft, groups: Sequence[Group]) -> list[Group]:
    """The same groups, the small ones of new variables packed; not those of several names for one object."""
    values = draft.present.values
    names = Counter(id(values[group[0]]) for group in groups if group[0] in values)
    packed: list[Group] = []
    others: list[Group] = []
    for group in groups:
        label = group[0]
        is_new = len(group) == 1 and label in draft.present.bound and label.startswith(("v:", "o:"))
        fits = is_new and names[id(values[label])] == 1 and is_small(values[label])
        (packed if fits else others).append(group)
    packs = [*_portions([label for (label,) in packed])]
    draft.packs.update(packs)
    return others + packs


def is_small(value: Any) -> bool:
    """Whether it is a short container of nothing but short atoms: nothing else can be shared through it."""
    kind = type(value)
    if kind not in _CONTAINERS or len(value) > _ITEMS:
        return False
    items = [*value, *value.values()] if kind is dict else [*value]
    return all(map(_is_short, items))


def _is_short(item: Any) -> bool:
    kind = type(item)
    if kind is int:
        return bool(-(2**63) <= item < 2**63)
    return kind in _NUMBERS or ((kind is str or kind is bytes) and len(item) <= _TEXT)


def _portions(labels: list[str]) -> Iterator[Group]:
    for start in range(0, len(labels), _TOGETHER):
        yield tuple(labels[start : start + _TOGETHER])
