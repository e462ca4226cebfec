"""Bytes to objects: the C unpickler, and one that survives what fails to load."""

import io
import pickle
from collections.abc import Iterable
from typing import Any, BinaryIO, ClassVar

from kernel_broker.worker.state.errors import StateError
from kernel_broker.worker.state.pickling.live import LiveObjects, prologue
from kernel_broker.worker.state.tombstone import Tombstone


class StateUnpickler(pickle.Unpickler):
    """Reads a stream that `StatePickler` wrote."""

    def __init__(self, file: BinaryIO, buffers: Iterable[Any], live: LiveObjects) -> None:
        super().__init__(file, buffers=buffers)
        self.persistent_load = live.find  # type: ignore[method-assign]
        self.load()  # the prologue


_Base: Any = pickle._Unpickler
"""The unpickler in Python: slow, but its steps can be guarded."""


class SalvageUnpickler(_Base):
    """The same in Python: what cannot be rebuilt becomes a tombstone, the rest is loaded."""

    root = ""

    def __init__(self, file: BinaryIO, buffers: Iterable[Any], live: LiveObjects) -> None:
        super().__init__(file, buffers=buffers)
        self._live = live
        self.lost: list[Tombstone] = []
        self.load()

    def persistent_load(self, number: Any) -> Any:
        """A live object."""
        return self._live.find(number)

    def find_class(self, module: str, name: str) -> Any:
        """A global, or what stands for it."""
        try:
            return super().find_class(module, name)
        except Exception as error:
            return self._lose(f"{module}.{name}", error)

    def _lose(self, type_name: str, error: Exception) -> Tombstone:
        if isinstance(error, StateError):  # the store's fault and not the object's
            raise error
        text = (str(error).splitlines() or [""])[0][:200]
        reason = f"could not be brought back ({type(error).__name__}: {text})"
        tombstone = Tombstone(self.root, type_name, reason, None)
        self.lost.append(tombstone)
        return tombstone

    def _build(self, operation: Any) -> None:
        """Run a reduction on the stack; its function and arguments are the top two."""
        arguments, function = self.stack[-1], self.stack[-2]
        depth = len(self.stack)
        if isinstance(function, Tombstone):
            self.stack[-2:] = [function]
            return
        try:
            operation(self)
        except Exception as error:
            del self.stack[depth - 2 :]
            named = function if isinstance(function, type) else next(iter(arguments or ()), function)
            lost = self._lose(getattr(named, "__name__", type(named).__name__), error)
            if getattr(function, "__name__", "").startswith("fill_"):
                self._replace(arguments[0], lost)
            self.stack.append(lost)

    def _replace(self, found: Any, lost: Tombstone) -> None:
        """Put a tombstone wherever an object that could not be filled would still be handed out."""
        self.stack[:] = [lost if item is found else item for item in self.stack]
        for number, item in self.memo.items():
            if item is found:
                self.memo[number] = lost

    def _load_reduce(self) -> None:
        arguments, function = self.stack[-1], self.stack[-2]
        first = arguments[0] if isinstance(arguments, tuple) and arguments else None
        owner = getattr(function, "__module__", "")
        if isinstance(first, Tombstone) and owner != Tombstone.__module__:
            self.stack[-2:] = [first]  # what is made of, or filled in, something lost is lost
            return
        self._build(_Base.load_reduce)

    def _load_newobj(self) -> None:
        self._build(_Base.load_newobj)

    def _load_newobj_ex(self) -> None:
        keywords, arguments, cls = self.stack.pop(), self.stack.pop(), self.stack.pop()
        try:
            if isinstance(cls, Tombstone):
                self.stack.append(cls)
            else:
                self.stack.append(cls.__new__(cls, *arguments, **keywords))
        except Exception as error:
            self.stack.append(self._lose(getattr(cls, "__name__", "object"), error))

    def _load_state(self) -> None:
        found = self.stack[-2]
        depth = len(self.stack)
        if isinstance(found, Tombstone):
            self.stack.pop()
            return
        try:
            _Base.load_build(self)
        except Exception as error:
            del self.stack[depth - 1 :]
            self._replace(found, self._lose(type(found).__name__, error))

    def _load_items(self, operation: Any) -> None:
        target = self.metastack[-1][-1]
        try:
            if isinstance(target, Tombstone):
                self.pop_mark()
            else:
                operation(self)
        except Exception as error:
            self._replace(target, self._lose(type(target).__name__, error))

    def _load_appends(self) -> None:
        self._load_items(_Base.load_appends)

    def _load_setitems(self) -> None:
        self._load_items(_Base.load_setitems)

    def _load_additems(self) -> None:
        self._load_items(_Base.load_additems)

    dispatch: ClassVar[dict[int, Any]] = _Base.dispatch | {
        pickle.REDUCE[0]: _load_reduce,
        pickle.NEWOBJ[0]: _load_newobj,
        pickle.NEWOBJ_EX[0]: _load_newobj_ex,
        pickle.BUILD[0]: _load_state,
        pickle.APPENDS[0]: _load_appends,
        pickle.SETITEMS[0]: _load_setitems,
        pickle.ADDITEMS[0]: _load_additems,
    }


class _Joined(io.RawIOBase):
    """The prologue, then a stream, as one file; neither is copied."""

    def __init__(self, stream: Any) -> None:
        self._parts = [memoryview(_PROLOGUE), memoryview(stream)]

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        while self._parts and not self._parts[0]:
            del self._parts[0]
        if not self._parts:
            return 0
        part = self._parts[0]
        count = min(len(target), len(part))
        target[:count] = part[:count]
        self._parts[0] = part[count:]
        return count


_PROLOGUE = prologue()
_AHEAD = 2**16


def reader(stream: Any) -> BinaryIO:
    """A file over a stream, after the prologue, that lets the C unpickler read ahead."""
    if len(stream) <= _AHEAD:
        return io.BytesIO(_PROLOGUE + bytes(stream))
    return io.BufferedReader(_Joined(stream), _AHEAD)
