"""Why a state is refused."""


class StateError(RuntimeError):
    """The committed state cannot be brought back."""


class StateCorrupt(StateError):
    """Bytes of the state are missing, damaged, or were not written by this session."""


class ChunkLost(StateCorrupt):
    """The store has not got a chunk any more, or not as it was written."""

    def __init__(self, name: str, missing: bool) -> None:
        fault = "missing from the store" if missing else "damaged or was not written by this session"
        super().__init__(f"chunk {name} of the state is {fault}")
        self.name = name
        self.reason = f"has a part that is {'missing from' if missing else 'damaged in'} the store"


class StateMismatch(StateError):
    """The state was written by another Python, or another format of this package."""


class StateUnavailable(StateError):
    """The store does not answer; the state may be whole."""


class GivenUp(Exception):
    """A capture was given up half-way, because something else is wanted first."""


class TooLarge(Exception):
    """A unit would make the state larger than it may be."""

    def __init__(self, labels: tuple[str, ...], size: int, total: int) -> None:
        super().__init__(f"{size} bytes of {total}")
        self.labels, self.size, self.total = labels, size, total

    def tell(self, limit: int) -> str:
        """What a user is told of it."""
        names = ", ".join(repr(label.partition(":")[2]) for label in self.labels[:3])
        return (
            f"the state is too large to be saved: {names} ({_mb(self.size)}) would make it "
            f"{_mb(self.total)}, over the limit of {_mb(limit)}. "
            "The session stands at the revision before this cell; "
            "delete or shrink something and run a cell, and all is saved again"
        )


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
