"""Why a state is refused."""


class StateError(RuntimeError):
    """The committed state cannot be brought back."""


class StateCorrupt(StateError):
    """Bytes of the state are missing, damaged, or were not written by this session."""


class StateMismatch(StateError):
    """The state was written by another Python, or another format of this package."""


class StateUnavailable(StateError):
    """The store does not answer; the state may be whole."""


class TooLarge(Exception):
    """A unit would make the state larger than it may be."""

    def __init__(self, labels: tuple[str, ...], size: int, total: int) -> None:
        super().__init__(f"{size} bytes of {total}")
        self.labels, self.size, self.total = labels, size, total
