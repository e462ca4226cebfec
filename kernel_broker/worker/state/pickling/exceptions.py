"""Exceptions: rebuilt without calling their `__init__`, with cause, context, notes, and what of the traceback
a reader sees.
"""

import _thread
import copyreg
import dis
import types
from collections.abc import Iterable
from typing import Any

_OWN_WAYS = ("__reduce__", "__reduce_ex__", "__getstate__")


def reduce_exception(_pickler: Any, error: BaseException) -> Any:
    """By its arguments and its attributes, unless it has a way of its own."""
    cls = type(error)
    if cls in copyreg.dispatch_table or any(_is_users(cls, name) for name in _OWN_WAYS):
        return NotImplemented
    builtin: Any = next(base for base in cls.__mro__ if not base.__flags__ & (1 << 9))
    reduced = builtin.__reduce__(error)
    arguments = reduced[1] if isinstance(reduced, tuple) else error.args
    state = {
        "attributes": reduced[2] if len(reduced) > 2 else None,
        "args": error.args,
        "links": (error.__cause__, error.__context__, error.__suppress_context__),
        "frames": _frames(error.__traceback__),
    }
    return new_exception, (cls, builtin, arguments), state, None, None, fill_exception


def _is_users(cls: type, name: str) -> bool:
    return next(
        name in vars(base) and bool(base.__flags__ & (1 << 9)) for base in cls.__mro__ if name in vars(base)
    )


def _frames(traceback: types.TracebackType | None) -> list[tuple[Any, ...]]:
    """What is shown of each level: file, function, and which line each instruction is on."""
    frames = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        lines = (code.co_firstlineno, code.co_linetable, traceback.tb_frame.f_lasti)
        names = (code.co_filename, code.co_name, code.co_qualname)
        frames.append((names, lines, traceback.tb_lasti, traceback.tb_lineno))
        traceback = traceback.tb_next
    return frames


def new_exception(cls: Any, builtin: Any, arguments: tuple[Any, ...]) -> BaseException:
    """The exception as far as its builtin base makes it."""
    error: BaseException = cls.__new__(cls, *arguments)
    builtin.__init__(error, *arguments)
    return error


def fill_exception(error: BaseException, state: dict[str, Any]) -> None:
    """Give it its attributes, and what it hangs together with."""
    attributes = state["attributes"]
    if attributes:
        BaseException.__setstate__(error, attributes)
    error.args = state["args"]
    error.__cause__, error.__context__, error.__suppress_context__ = state["links"]
    error.__traceback__ = _traceback(state["frames"])


def _traceback(frames: list[tuple[Any, ...]]) -> types.TracebackType | None:
    """A traceback that reads like the one there was; its frames hold no variables."""
    made: types.TracebackType | None = None
    ended = _ended_frames([part[:2] for part in frames]) if frames else []
    for frame, (*_, instruction, line) in zip(reversed(ended), reversed(frames), strict=True):
        if frame is not None:
            made = types.TracebackType(made, frame, instruction, line)
    return made


def _ended_frames(parts: Iterable[tuple[Any, ...]]) -> list[types.FrameType | None]:
    """Frames made on a thread of their own: a frame keeps those that called it, and all their variables."""
    made: list[types.FrameType | None] = []
    ended = _thread.allocate_lock()
    ended.acquire()

    def make() -> None:
        try:
            made.extend([_frame(*part) for part in parts])
        finally:
            ended.release()

    _thread.start_new_thread(make, ())
    ended.acquire()
    return made


def _frame(names: tuple[str, ...], lines: tuple[int, bytes, int]) -> types.FrameType | None:
    """A frame that ended by raising, of a function with those names and lines."""
    raising = _raise.__code__
    first, table, last = lines
    body = raising.co_code
    padding = bytes((dis.opmap["NOP"], 0)) * ((last - body.rindex(dis.opmap["RAISE_VARARGS"], 0, -1)) // 2)
    code = raising.replace(
        co_filename=names[0],
        co_name=names[1],
        co_qualname=names[2],
        co_firstlineno=first,
        co_linetable=table,
        co_code=padding + body,
    )
    try:
        types.FunctionType(code, {})()
    except RuntimeError as error:
        inner = error.__traceback__.tb_next if error.__traceback__ else None
        return inner.tb_frame if inner is not None else None
    return None


def _raise() -> None:
    """The shortest code that raises: a frame may have ended at its very first instructions."""
    raise  # noqa: PLE0704
