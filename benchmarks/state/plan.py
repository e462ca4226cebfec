"""How much is measured, and how often."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of a run."""

    letters: str
    """The namespaces, of a to g."""
    scale: float
    """Of the namespaces a to g; 1 is what the targets speak of."""
    big: int
    """MB of the large session."""
    kishu_big: int
    """MB of the large session that Kishu is asked to commit: it takes seconds for each cell."""
    rounds: int
    """Processes for each namespace: samples of a first commit and of a first load."""
    changes: int
    """Small changes in each of these processes, and repetitions of each cell in the large session."""
    kishu_rounds: int
    kishu_changes: int
    dumps: int
    """Full dumps of the large session by the peers."""
    transfer: int
    """MB that are sent through a whole kernel and a store."""
    transfers: int
    loops: int
    """Turns of the pure Python loop that shows what tracking costs."""
    overheads: int
    resumes: int

    def at_most(self, count: int) -> "Plan":
        """The same sizes, no more than `count` samples of what takes long."""
        names = ("rounds", "kishu_rounds", "kishu_changes", "dumps", "transfers", "overheads", "resumes")
        return replace(self, **{name: min(getattr(self, name), count) for name in names})


FULL = Plan(
    letters="abcdefg",
    scale=1.0,
    big=1000,
    kishu_big=300,
    rounds=5,
    changes=20,
    kishu_rounds=2,
    kishu_changes=2,
    dumps=5,
    transfer=500,
    transfers=4,
    loops=3_333_333,
    overheads=31,
    resumes=5,
)
QUICK = Plan(
    letters="acg",
    scale=0.05,
    big=40,
    kishu_big=20,
    rounds=1,
    changes=5,
    kishu_rounds=1,
    kishu_changes=1,
    dumps=1,
    transfer=30,
    transfers=2,
    loops=300_000,
    overheads=2,
    resumes=2,
)
