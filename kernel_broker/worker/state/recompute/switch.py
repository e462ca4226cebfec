"""`%recompute`: whether lost variables are made again; kept with the session, as the stories are."""

from collections.abc import Callable
from typing import Any

from kernel_broker.worker.state.providers.contract import Provider
from kernel_broker.worker.state.recompute.book import Book

SECONDS = 10.0
"""How long a rehearsal may take."""

_USAGE = "usage: %recompute on [SECONDS], %recompute off, %recompute for how it stands"


class Recomputing(Provider):
    """The session's own wish, or what its broker says."""

    name = "recompute"

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self.book = Book()
        self.seconds = SECONDS
        self.default = False
        """What holds if the session says nothing."""
        self.muted = False
        """Whether nothing is written down: this process only rehearses."""
        self.on_begin: Callable[[str], None] = lambda _: None
        self.on_end: Callable[[str, bool], None] = lambda _source, _succeeded: None
        self._wish: bool | None = None
        self._value: Any = None
        self._depth = 0
        shell.events.register("pre_run_cell", self._begin)
        shell.events.register("post_run_cell", self._end)
        shell.register_magic_function(self.recompute, "line", "recompute")

    @property
    def is_on(self) -> bool:
        """Whether stories are written, and told again."""
        return (self.default if self._wish is None else self._wish) and not self.muted

    def collect(self) -> Any:
        """The wish, the time, the stories."""
        if self.muted or (self._wish is None and not self.book.graves):
            return self._value if self.muted else None
        value = (self._wish, self.seconds, self.book.to_plain())
        if value != self._value:
            self._value = value
        return self._value

    def apply(self, value: Any) -> None:
        """Go on as the session was."""
        self._value = value
        self._wish, self.seconds, plain = value
        self.book = Book.from_plain(plain)

    def recompute(self, line: str) -> None:
        """Have lost variables made again after a move by running their cells again: `%recompute on`."""
        word, _, rest = line.strip().partition(" ")
        if word == "on" and _is_time(rest):
            self._wish = True
            for story in self.book.graves.values():
                story.refusal = ""
            self.seconds = float(rest) if rest.strip() else SECONDS
        elif word == "off" and not rest:
            self._wish = False
            self.book.clear()
        elif word in ("", "status") and not rest:
            self._show()
        else:
            print(_USAGE)

    def _show(self) -> None:
        print(
            f"recompute is {'on' if self.is_on else 'off'}" + f", for {self.seconds:g} s at most" * self.is_on
        )
        for (name, _), story in self.book.graves.items():
            cells = ", ".join(f"[{step.cell}]" for step in story.ordered)
            print(f"{name}: " + (f"not made again: {story.obstacle}" if story.obstacle else f"cells {cells}"))

    def _begin(self, info: Any) -> None:
        self._depth += 1
        if self._depth == 1 and self.is_on:
            self.on_begin(info.raw_cell)

    def _end(self, result: Any) -> None:
        self._depth = max(0, self._depth - 1)
        if self._depth == 0 and self.is_on and result.info is not None:
            self.on_end(result.info.raw_cell, result.success)


def _is_time(text: str) -> bool:
    try:
        return not text.strip() or float(text) > 0
    except ValueError:
        return False
