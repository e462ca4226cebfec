"""Quiet while a state is taken or brought back: no interrupt, no collection, pristine builtins."""

import builtins
import gc
import itertools
import operator
import signal
import threading
from types import TracebackType
from typing import Any, ClassVar


class Calm:
    """Keeps out whatever would disturb the engine, while entered. Made when the builtins are pristine."""

    ABSENT: ClassVar[Any] = object()

    def __init__(self) -> None:
        self.pristine = dict(vars(builtins))
        self.pristine.pop("_", None)  # the last result of an interpreter's prompt
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
        self.overridden = {}
        now = dict(zip(pristine, map(space.get, pristine, itertools.repeat(self.ABSENT)), strict=False))
        if not all(map(operator.is_, now.values(), pristine.values())):
            self.overridden = {name: value for name, value in now.items() if value is not pristine[name]}
            space.update({name: pristine[name] for name in self.overridden})

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
