"""dill's knowledge of odd types, one object at a time, so that what they share stays in our stream."""

import logging
from typing import Any


class _Recorder:
    """A pickler as dill's savers see one: keeps the first reduction it is asked to write, writes nothing."""

    def __init__(self) -> None:
        self.reduced: tuple[Any, ...] | None = None
        self.memo: dict[int, Any] = {}
        self.proto = 5
        self._recurse = False
        self._byref = False
        self._main = None
        self._session = False
        self._ignore = False
        self._strictio = False
        self._postproc: dict[int, Any] = {}

    def save_reduce(self, *parts: Any, **_: Any) -> None:
        """Record a reduction."""
        if self.reduced is None:
            self.reduced = parts

    def save(self, *_: Any, **__: Any) -> None:
        """Savers that write piece by piece cannot be used."""
        raise NotImplementedError

    save_global = write = memoize = save


def reduce(found: Any) -> Any:
    """The reduction by dill of an object, None if it has none of its own."""
    from dill import _dill

    saver = _dill.Pickler.dispatch.get(type(found))
    if saver is None or not saver.__module__.startswith("dill"):
        return None
    recorder = _Recorder()
    logging.getLogger("dill").setLevel(logging.CRITICAL)
    try:
        saver(recorder, found)
    except Exception:
        return None
    reduced = recorder.reduced
    if not isinstance(reduced, tuple) or len(reduced) < 2 or not isinstance(reduced[1], tuple):
        return None
    return reduced
