"""Every promise about state, with its number; which figures it speaks of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """At most `limit`, for each figure whose key matches (as in a shell)."""

    name: str
    says: str
    keys: str
    limit: float
    of_ours: bool = False
    """The limit is on our own median, not on its ratio to the peer's."""


_MIB = 2.0**20

TARGETS = (
    Target(
        "T1",
        "small change beside 1 GB untouched ≤ 1/500 of cloudpickle",
        "untouched/cnt/cloudpickle/cpu",
        1 / 500,
    ),
    Target(
        "T1",
        "small change beside 1 GB untouched ≤ 1/100 of hash-everything",
        "untouched/cnt/hash-everything/cpu",
        1 / 100,
    ),
    Target("T2", "first commit ≤ 2× cloudpickle", "first/*/cloudpickle/cpu", 2.0),
    Target("T3", "a cell's commit ≤ 1/20 of Kishu's", "cells/*/Kishu/cpu", 1 / 20),
    Target("T4", "verifying everything ≤ 2.5× hash-everything", "cells/verify/cpu", 2.5),
    Target("T5", "small cell of a 1 GB session ≤ 1/500 of its full load", "large-load/small/cpu", 1 / 500),
    Target("T5", "full load of 1 GB ≤ 1.5× pickle.loads", "large-load/full/cpu", 1.5),
    Target("T5", "full load of a to g ≤ 1.5× pickle.loads", "load/*/pickle.loads/cpu", 1.5),
    Target(
        "T6", "one element of 100 MB writes ≤ 1.1 MiB", "cells/array item/bytes", 1.1 * _MIB, of_ours=True
    ),
    Target("T7", "no tax on running code: ≤ 1.02×", "overhead/*/inside", 1.02),
    Target("full", "first commit ≤ 1× cloudpickle", "first/*/cloudpickle/cpu", 1.0),
    Target("full", "first commit of g ≤ 1/10 of dill", "first/g/dill/cpu", 1 / 10),
    Target("full", "first commit of b ≤ 1/10 of dill", "first/b/dill/cpu", 1 / 10),
    Target("full", "first commit ≤ 1× Kishu", "first/*/Kishu/cpu", 1.0),
    Target("small", "small change beside 1 GB untouched ≤ 1.2× without it", "untouched/cnt/empty/cpu", 1.2),
    Target("small", "the same through a kernel ≤ 1.2×", "kernel-small/*", 1.2),
    Target("throughput", "commit of new numpy data ≥ 0.5× of plain SET", "throughput/redis/commit/wall", 2.0),
    Target("throughput", "resume of it ≥ 0.5× of plain GET", "throughput/redis/resume/wall", 2.0),
    Target("overhead", "the cell's own time ≤ 1.05× ipykernel's", "overhead/*/inside", 1.05),
)
"""T8 and T9 are shown by tests: the table of cases and the replay of notebooks."""
