"""What a worker says, looked at before anything is done with it: user code may have sent it.

A frame that no worker of ours sends raises `FrameError`, and its worker is ended. Nothing here says whether
it is true: only that what is stored, shown or counted by it has the form that all others rely on.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from kernel_broker.wire.frames import Frame, FrameError
from kernel_broker.wire.ids import ChunkId, is_chunk_id

Json = dict[str, Any]
T = TypeVar("T")
Test = Callable[[Any], bool]

_LARGEST: Final = 2**53
"""Beyond this, JSON's numbers are not exact everywhere."""

_SAID: Final = 4000
"""Characters of a worker's own words that are logged."""

_MISSING: Final = object()


def _is_number(value: Any) -> bool:
    return type(value) is int and abs(value) < _LARGEST


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_name(value: Any) -> bool:
    """Text that a store can take: JSON can say half of a surrogate pair, UTF-8 cannot."""
    return isinstance(value, str) and (value.isascii() or printable(value) is value)


def _list_of(test: Test) -> Test:
    return lambda value: isinstance(value, list) and all(map(test, value))


def _optional(test: Test) -> Test:
    return lambda value: value is None or test(value)


def _is_pin(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(_is_text(value.get(name)) for name in ("name", "type", "reason"))
        and _optional(_is_number)(value.get("cell"))
    )


def _is_comms(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(comm, dict) for comm in value.values())


_STANDING: Final[Mapping[str, Test]] = {
    "execution_count": _is_number,
    "pinned": _list_of(_is_pin),
    "comms": _is_comms,
}
"""What a document is made of."""

_CHANGE: Final[Mapping[str, Test]] = {
    "put": _list_of(_is_name),
    "delete": _list_of(_is_name),
    "add": _list_of(is_chunk_id),
    "drop": _list_of(is_chunk_id),
}

_DONE: Final[Mapping[str, tuple[Test, Any]]] = {
    "msg_id": (_is_text, _MISSING),
    "failure": (_optional(_is_text), _MISSING),
    "notices": (_list_of(_is_text), []),
    "shown": (_list_of(_is_text), []),
    "refused": (_optional(_is_text), None),
    "given_up": (lambda value: _is_number(value) and value >= 0, 0),
    "background": (lambda value: isinstance(value, bool), False),
    "checkout": (_optional(_is_number), None),
}
"""What a `done` says of its request, and what it says by leaving that out."""


def check_done(frame: Frame) -> None:
    """A request is done."""
    for name, (test, otherwise) in _DONE.items():
        if not test(frame.head.get(name, otherwise)):
            raise _refused(frame, name)
    check_change(frame)


def check_change(frame: Frame) -> None:
    """The state has changed, or not: then `commit` is None."""
    change = frame.head.get("commit", _MISSING)
    if change is None:
        return
    if not isinstance(change, dict):
        raise _refused(frame, "commit")
    for said, tests in ((change, _CHANGE), (frame.head, _STANDING)):
        for name, test in tests.items():
            if not test(said.get(name)):
                raise _refused(frame, name)
    if len(change["put"]) != len(frame.parts):
        raise _refused(frame, "put")


def chunk_ids(values: Any) -> Sequence[ChunkId]:
    """The names of chunks."""
    if not isinstance(values, list) or not all(map(is_chunk_id, values)):
        raise FrameError("a worker names what is no chunk")
    return [ChunkId(value) for value in values]


def printable(value: T) -> T:
    """The same JSON value, without the halves of surrogate pairs: they stand for bytes in names of files."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        value = json.loads(text.encode("utf-8", "replace"))
    return value


def quoted(said: Any) -> str:
    """The end of a worker's own words, in one line, as they are logged."""
    return repr(str(said)[-_SAID:])


def _refused(frame: Frame, name: str) -> FrameError:
    return FrameError(f"a worker sends a {frame.kind!r} whose {name!r} cannot be")
