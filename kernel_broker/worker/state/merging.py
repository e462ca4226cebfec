"""Groups of a draft that must be one unit: those that share objects, and definitions that need each other."""

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from kernel_broker.worker.state.definitions import is_definition, label_of
from kernel_broker.worker.state.draft import Draft, Group
from kernel_broker.worker.state.sharing import Sharing


def merge(draft: Draft) -> None:
    """Make one of all groups that share an object."""
    atoms = draft.present.atoms
    groups = [group for group in draft.dumps if group[0] not in atoms]
    if len(groups) < 2:
        return
    rooted = [([draft.root(label) for label in group], draft.dumps[group]) for group in groups]
    parts = Sharing(draft.definitions, draft.writer.seeds).partition(rooted)
    together = [[groups[number] for number in members] for members in parts if len(members) > 1]
    torn = [group for members in together for group in members if group in draft.packs]
    for group in torn:
        _unpack(draft, group)
    if torn:
        merge(draft)
        return
    for members in together:
        draft.dump_together(members)


def _unpack(draft: Draft, group: Group) -> None:
    """Something in a pack is shared: each of it stands for itself."""
    draft.packs.discard(group)
    del draft.dumps[group]
    for label in group:
        draft.dump((label,))


def untie(draft: Draft) -> None:
    """Make one of definitions that need each other: each would have to be loaded before the other."""
    while any(dumped.used and is_definition(group[0]) for group, dumped in draft.dumps.items()):
        try:
            TopologicalSorter(_needs(draft)).prepare()
        except CycleError as error:
            knot: list[Group] = list(dict.fromkeys(error.args[1]))
            for group in knot:
                if group not in draft.dumps:
                    draft.replace(draft.table.units[group[0]])
            draft.dump_together(knot)
        else:
            return


def _needs(draft: Draft) -> dict[Group, set[Group]]:
    """Which units with definitions need which."""
    used: dict[Group, Iterable[str]] = {}
    for unit in draft.table.all_units():
        if is_definition(unit.labels[0]) and id(unit) not in draft.replaced:
            used[unit.labels] = unit.used
    used |= {group: dumped.used for group, dumped in draft.dumps.items() if is_definition(group[0])}
    home = {label: group for group in used for label in group if is_definition(label)}
    return {
        group: {home[label_of(uid)] for uid in uids if label_of(uid) in home} - {group}
        for group, uids in used.items()
    }
