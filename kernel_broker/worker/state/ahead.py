"""Chunks that will be asked for come while those before them are taken in."""

from collections.abc import Iterator, Sequence

from kernel_broker.worker.state.chunks import Buffer, Fetch

_TURNS = 8
"""After so many requests out of turn, what is expected is not what comes: no more is read ahead."""


class Ahead:
    """A `Fetch` that expects to be asked for these names, in this order; for any others it asks at once."""

    def __init__(self, fetch: Fetch, names: Sequence[str]) -> None:
        self._fetch = fetch
        self._names = list(names)
        self._place = 0
        self._turns = 0
        self._coming: Iterator[Buffer | None] | None = None

    def __call__(self, names: Sequence[str]) -> Iterator[Buffer | None]:
        """The chunks of these names."""
        if not self._is_next(names) and not self._turn_to(names):
            yield from self._fetch(names)
            return
        if self._coming is None:
            self._coming = iter(self._fetch(self._names[self._place :]))
        for _ in names:
            self._place += 1
            yield next(self._coming)

    def _is_next(self, names: Sequence[str]) -> bool:
        return self._names[self._place : self._place + len(names)] == list(names)

    def _turn_to(self, names: Sequence[str]) -> bool:
        """Go on from these names, if they are expected later."""
        self.close()
        self._turns += 1
        if self._turns <= _TURNS and names[0] in self._names[self._place :]:
            before, self._place = self._place, self._names.index(names[0], self._place)
            if self._is_next(names):
                return True
            self._place = before
        return False

    def close(self) -> None:
        """Nothing more is read ahead for now."""
        coming, self._coming = self._coming, None
        if coming is not None and hasattr(coming, "close"):
            coming.close()
