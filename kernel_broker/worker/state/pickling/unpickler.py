"""Bytes to objects: the C unpickler, and one that survives what fails to load."""

import io
import pickle
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, BinaryIO, ClassVar

from kernel_broker.worker.state.errors import StateError
from kernel_broker.worker.state.pickling.live import LiveObjects, prologue
from kernel_broker.worker.state.tombstone import Tombstone


def loader(stream: "Stream", buffers: Iterable[Any], live: LiveObjects) -> Callable[[], Any]:
    """Gives one object after the other of a stream that `StatePickler` wrote."""
    unpickler = pickle.Unpickler(_framed(stream), buffers=buffers)
    unpickler.persistent_load = live.finder()  # type: ignore[method-assign]
    unpickler.load()  # the prologue
    return unpickler.load


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


class Flow(io.RawIOBase):
    """A file of pieces that come one after the other; none is kept."""

    def __init__(self, pieces: Iterator[Any]) -> None:
        self._pieces = pieces
        self._part = memoryview(_PROLOGUE)

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        while not self._part:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._part = memoryview(piece)
        part = self._part
        count = min(len(target), len(part))
        target[:count] = part[:count]
        self._part = part[count:]
        return count

    def hold(self) -> None:
        """Have the rest come now, and keep it: other things are to be asked for.

        What is wrong with it is told when it is read.
        """
        held, failure = [bytes(self._part)], None
        try:
            held.extend(map(bytes, self._pieces))  # those before an error are in it
        except StateError as error:
            failure = error
        self._pieces, self._part = _held(held, failure), memoryview(b"")

    def close(self) -> None:
        """No more is needed."""
        if isinstance(self._pieces, Generator):
            self._pieces.close()
        super().close()


def _held(pieces: list[bytes], failure: StateError | None) -> Iterator[bytes]:
    yield from pieces
    if failure is not None:
        raise failure


_PROLOGUE = prologue()
_AHEAD = 2**16
_FRAME = _PROLOGUE[:2] + b"\x95"  # PROTO and FRAME

Stream = bytes | Flow


def reader(stream: Stream) -> BinaryIO:
    """A file over a stream, after the prologue, that lets the C unpickler read ahead."""
    if isinstance(stream, Flow):
        return io.BufferedReader(stream, _AHEAD)
    return io.BytesIO(_PROLOGUE + stream)


def _framed(stream: Stream) -> BinaryIO:
    """The same for the C unpickler alone, which takes all bytes at once if one frame is around them."""
    if isinstance(stream, Flow):
        return reader(stream)
    length = (len(_PROLOGUE) - 2 + len(stream)).to_bytes(8, "little")
    return io.BytesIO(b"".join((_FRAME, length, _PROLOGUE[2:], stream)))
