"""Sees the code that a shell is about to run, so that a capture knows what a cell could reach."""

import sys
import types
from collections.abc import Callable
from typing import Any

from kernel_broker.worker.state.reach import ANYWHERE, NOWHERE, Reach, of_code, of_source, words_of


class Watch:
    """What ran in a shell since the last `clear`."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self.seen: Reach = NOWHERE
        self.ran = False
        self.before: Callable[[types.CodeType], None] = lambda _: None
        """Called before code runs."""
        self.before_text: Callable[[set[str]], None] = lambda _: None
        """Called before an expression with these words is evaluated."""
        original = shell.run_code

        async def run_code(code_obj: Any, result: Any = None, *, async_: bool = False) -> Any:
            self.note(of_code(code_obj))
            try:
                self.before(code_obj)
            except Exception as error:  # what it needs cannot be had from the store now
                if result is not None:
                    result.error_in_exec = error
                shell.showtraceback((type(error), error, error.__traceback__))
                return True
            return await original(code_obj, result, async_=async_)

        self._wrapper = shell.run_code = run_code
        self._watch_expressions(shell)

    def _watch_expressions(self, shell: Any) -> None:
        """See the expressions that a front end has evaluated after a cell."""
        original = shell.user_expressions

        def user_expressions(expressions: dict[str, str]) -> dict[str, Any]:
            try:
                for source in expressions.values():
                    self.note_source(str(source))
            except Exception:  # what they need cannot be had from the store now
                return dict.fromkeys(expressions, shell._user_obj_error())
            answers: dict[str, Any] = original(expressions)
            return answers

        shell.user_expressions = user_expressions

    def note(self, reach: Reach) -> None:
        """Something ran that reaches this far."""
        self.ran = True
        self.seen = self.seen | reach

    def note_source(self, source: str) -> None:
        """An expression is evaluated."""
        self.note(of_source(source))
        self.before_text(words_of([source]))

    def reach(self) -> Reach:
        """What ran; anything, if the shell's way of running code was replaced, or somebody looks on."""
        looked_on = sys.getprofile() is not None or sys.gettrace() is not None
        return self.seen if self._shell.run_code is self._wrapper and not looked_on else ANYWHERE

    def clear(self) -> None:
        """Start anew."""
        self.seen, self.ran = NOWHERE, False
