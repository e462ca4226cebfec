"""Quiet while a state is taken or brought back: no interrupt, no collection, pristine builtins."""

import builtins
import gc
import signal
import threading
from itertools import repeat
from operator import is_
from types import TracebackType
from typing import Any, ClassVar


class Calm:
    """Keeps out whatever would disturb the engine, while entered. Made when the builtins are pristine."""

    ABSENT: ClassVar[Any] = object()

    def __init__(self) -> None:
        self.pristine = dict(vars(builtins))
        self.collecting = True
        """Whether the garbage collector runs between captures."""

        self.overridden: dict[str, Any] = {}
        """What the session's cells made of builtins, `ABSENT` for a deleted one: put back at the end."""

    def __enter__(self) -> None:
        on_main = threading.current_thread() is threading.main_thread()
        self._handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if on_main else None
        self.collecting = gc.isenabled()
        gc.disable()
        space, pristine = vars(builtins), self.pristine
        now = map(space.get, pristine, repeat(self.ABSENT))
        if all(map(is_, now, pristine.values())):  # the rule, and told in one go
            self.overridden = {}
            return
        self.overridden = {
            name: space.get(name, self.ABSENT)
            for name, value in pristine.items()
            if name != "_" and space.get(name, self.ABSENT) is not value
        }
        space.update({name: self.pristine[name] for name in self.overridden})

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        space = vars(builtins)
        for name, value in self.overridden.items():
            if value is self.ABSENT:
                space.pop(name, None)
            else:
                space[name] = value
        if self.collecting:
            gc.enable()
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
