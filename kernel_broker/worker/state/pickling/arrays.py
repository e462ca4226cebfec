"""numpy arrays: memory that is shared stays shared, and what owned its memory owns it again."""

import contextlib
import pickle
import sys
from collections.abc import Iterator
from typing import Any

from kernel_broker.worker.state.loading import Blob

OUT_OF_BAND = 32 * 1024
"""Arrays of at least this many bytes leave the stream."""

_COPIED = 512
"""Smaller ones are copied once more: that costs less than to write them from where they are."""


def reduce_array(pickler: Any, array: Any) -> Any:
    """An owner as its memory; a view as its owner and its place in it."""
    numpy: Any = sys.modules["numpy"]
    dtype = array.dtype
    if dtype.hasobject:
        return _reduce_objects(numpy, array)
    if not isinstance(dtype.num, int) or dtype.num >= 256 or dtype.char == "T":
        return NotImplemented  # user-defined and variable-width types know how to pickle themselves
    flags = array.flags
    if array.base is not None:
        owner = _owner(numpy, array)
        if owner is not None and owner is not array:
            place = _offset(array, owner)
            return new_view, (owner, dtype, array.shape, array.strides, place, flags.writeable)
    order = "C" if flags.c_contiguous else "F" if flags.f_contiguous else None
    if order is None:
        return _reduce_scattered(numpy, array)
    return new_array, (dtype, array.shape, order, flags.writeable, _contents(pickler, array))


def _contents(pickler: Any, array: Any) -> Any:
    """What is written of the bytes of a contiguous array."""
    if array.nbytes < _COPIED:
        return array.tobytes("A")
    memory = _memory(array)
    if array.nbytes < OUT_OF_BAND:
        return pickle.PickleBuffer(memory.toreadonly())
    return pickler.blob(memory)


def _memory(array: Any) -> memoryview:
    """The bytes of a contiguous array, as they are in memory."""
    numpy: Any = sys.modules["numpy"]
    return memoryview(array.reshape(-1, order="A").view(numpy.uint8))


def _owner(numpy: Any, array: Any) -> Any:
    """The contiguous array whose memory this one shows, itself if none, None if it is no array's."""
    owner = root(numpy, array)
    return owner if owner.base is None and is_owner(owner) else None


def is_owner(array: Any) -> bool:
    """Whether an array has its memory, or that of a file, to itself, and all of it in one piece."""
    numpy: Any = sys.modules["numpy"]
    whole = array.flags.c_contiguous or array.flags.f_contiguous
    is_map = type(array) is numpy.memmap and not isinstance(array.base, numpy.ndarray)
    return bool(whole) and not array.dtype.hasobject and (array.base is None or is_map)


def root(numpy: Any, array: Any) -> Any:
    """The array at the end of a chain of views."""
    while True:
        base = array.base
        if type(base).__name__ == "DummyArray":  # between an array and what `as_strided` made of it
            base = base.base
        if type(base) is not numpy.ndarray:
            return array
        array = base


def _offset(array: Any, owner: Any) -> int:
    return array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]


def _reduce_scattered(numpy: Any, array: Any) -> Any:
    copy = numpy.ascontiguousarray(array)
    return new_array, (array.dtype, array.shape, "C", array.flags.writeable, copy.tobytes())


def _reduce_objects(numpy: Any, array: Any) -> Any:
    if array.dtype.fields is not None or array.dtype.subdtype is not None:
        return NotImplemented
    owner = root(numpy, array)
    contiguous = owner.flags.c_contiguous or owner.flags.f_contiguous
    if owner is not array and owner.dtype == array.dtype and owner.base is None and contiguous and owner.size:
        arguments = (array.dtype, array.shape, array.strides, _offset(array, owner), array.flags.writeable)
        return new_view, (owner, *arguments)
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    state = (list(array.ravel(order)), array.flags.writeable)
    return new_objects, (array.shape, order), state, None, None, fill_objects


def new_array(dtype: Any, shape: tuple[int, ...], order: str, writeable: bool, data: Any) -> Any:
    """An array that owns its memory, with the contents of `data`."""
    import numpy

    array: Any
    if isinstance(data, Blob):
        array = numpy.empty(shape, dtype, order)  # type: ignore[call-overload]
        flat = array.reshape(-1, order="A") if array.ndim else array.reshape(1)
        data.read_into(memoryview(flat.view(numpy.uint8)))
    else:
        place: Any = numpy.ndarray(shape, dtype, data, order="F" if order == "F" else "C")
        array = place.copy("K")
    if not writeable:
        array.flags.writeable = False
    return array


def new_view(
    owner: Any, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int, writeable: bool
) -> Any:
    """A view of the memory of `owner`."""
    import numpy

    with unlocked(owner):
        view = numpy.ndarray(shape, dtype, owner if owner.flags.c_contiguous else owner.T, offset, strides)
    if not writeable:
        view.flags.writeable = False
    return view


@contextlib.contextmanager
def unlocked(owner: Any) -> Iterator[None]:
    """A view made while its owner could be written stays writeable after the owner is locked."""
    locked = not owner.flags.writeable and owner.base is None
    if locked:
        owner.flags.writeable = True
    try:
        yield
    finally:
        if locked:
            owner.flags.writeable = False


def new_objects(shape: tuple[int, ...], order: str) -> Any:
    """An array of objects, not yet filled."""
    import numpy

    return numpy.empty(shape, object, order)  # type: ignore[call-overload]


def fill_objects(array: Any, state: tuple[list[Any], bool]) -> None:
    """Put the objects in."""
    items, writeable = state
    flat = array.reshape(-1, order="A")
    for index, item in enumerate(items):
        flat[index] = item
    array.flags.writeable = writeable


def reduce_memory_map(_pickler: Any, found: Any) -> Any:
    """The file mapped again, or a view of such a map; a private copy is plain data."""
    numpy: Any = sys.modules["numpy"]
    owner = found
    while isinstance(owner.base, numpy.memmap):
        owner = owner.base
    if owner.filename is None or owner.mode == "c":
        copy = numpy.array(found)
        return new_array, (copy.dtype, copy.shape, "C", True, copy.tobytes())
    if owner is not found:
        arguments = (owner, found.dtype, found.shape, found.strides, _offset(found, owner))
        return new_map_view, arguments
    if owner.mode != "r":
        owner.flush()
    mode = "r" if owner.mode == "r" else "r+"
    order = "F" if owner.flags.f_contiguous and not owner.flags.c_contiguous else "C"
    return numpy.memmap, (str(owner.filename), owner.dtype, mode, owner.offset, owner.shape, order)


def new_map_view(
    owner: Any, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> Any:
    """A part of a mapped file."""
    import numpy

    memory = owner if owner.flags.c_contiguous else owner.T
    return numpy.ndarray(shape, dtype, memory, offset, strides).view(numpy.memmap)
