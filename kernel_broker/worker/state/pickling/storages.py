"""Memory of torch's tensors: written once for all tensors that show it, shared with numpy where it was."""

import bisect
import gc
import sys
import warnings
import weakref
from typing import Any

from kernel_broker.worker.state.loading import Blob
from kernel_broker.worker.state.pickling import arrays

_owners: "weakref.WeakKeyDictionary[Any, Any]" = weakref.WeakKeyDictionary()
"""Arrays by the storages that show their memory; None for a storage whose memory no array has."""


def reduce_storage(pickler: Any, storage: Any) -> Any:
    """Memory of the host: as a part of the array that it is, or as its bytes."""
    if storage.device.type != "cpu":
        return NotImplemented
    if not storage.resizable():  # torch did not allocate it
        owner = _owner_of(pickler, storage)
        if owner is not None:
            offset = storage.data_ptr() - owner.__array_interface__["data"][0]
            return storage_of, (owner, offset, storage.nbytes())
    memory = _memory(storage)
    if len(memory) < arrays.OUT_OF_BAND:
        return new_storage, (bytes(memory), storage.is_shared())
    return new_storage, (pickler.blob(memory), storage.is_shared())


def reduce_typed_storage(_pickler: Any, storage: Any) -> Any:
    """The old kind of storage: another face of the same memory."""
    return typed_storage, (storage._untyped_storage, str(storage.dtype))


def reduce_array(pickler: Any, array: Any) -> Any:
    """An array: one that shows the memory of a tensor as that, any other as its own."""
    torch: Any = sys.modules.get("torch") if array.base is not None else None
    owner = None if torch is None else arrays.root(sys.modules["numpy"], array).base
    if owner is None or not isinstance(owner, torch.Tensor):
        return arrays.reduce_array(pickler, array)
    storage = owner.untyped_storage()
    offset = array.__array_interface__["data"][0] - storage.data_ptr()
    flags = (offset, array.flags.writeable)
    return array_of, (storage, array.dtype, array.shape, array.strides, *flags)


class _Bytes:
    """The bytes of a storage, as numpy asks for them: torch's own way would forbid the user to resize it."""

    def __init__(self, storage: Any) -> None:
        self.storage = storage
        place = {"data": (storage.data_ptr(), False), "shape": (storage.nbytes(),)}
        self.__array_interface__ = place | {"typestr": "|u1", "version": 3}


def _memory(storage: Any) -> memoryview:
    """The bytes of a storage, which live as long as the view."""
    numpy: Any = sys.modules["numpy"]
    return memoryview(numpy.asarray(_Bytes(storage)) if storage.nbytes() else b"")


def new_storage(data: Any, shared: bool) -> Any:
    """Memory with the contents of `data`; `shared` if other processes may be given it."""
    import torch

    storage = torch.UntypedStorage(data.size if isinstance(data, Blob) else len(data))
    memory = _memory(storage)
    if isinstance(data, Blob):
        data.read_into(memory)
    else:
        memory[:] = data
    return storage.share_memory_() if shared else storage


def storage_of(owner: Any, offset: int, size: int) -> Any:
    """A part of the memory of an array."""
    import numpy
    import torch

    with arrays.unlocked(owner), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of maps of files that are only read
        flat = owner.reshape(-1, order="A").view(numpy.ndarray).view(numpy.uint8)
        storage = torch.from_numpy(flat[offset : offset + size]).untyped_storage()
    _owners[storage] = owner
    return storage


def typed_storage(storage: Any, dtype: str) -> Any:
    """The same memory, as items of a type."""
    import torch

    kind = getattr(torch, dtype.removeprefix("torch."))
    return torch.storage.TypedStorage(wrap_storage=storage, dtype=kind, _internal=True)


def array_of(
    storage: Any, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int, writeable: bool
) -> Any:
    """An array that shows the memory of a storage."""
    import torch

    with torch._C.DisableTorchFunction():
        whole = torch.empty(0, dtype=torch.uint8, device="cpu").set_(storage).numpy()
    return arrays.new_view(whole, dtype, shape, strides, offset, writeable)


def _owner_of(pickler: Any, storage: Any) -> Any:
    """The array whose memory a storage shows, if there is one.

    What is found holds for good: the storage keeps the array alive, and nobody else can make another.
    """
    if storage not in _owners:
        start = storage.data_ptr()
        known = pickler.once(_all_arrays)
        place = bisect.bisect_right(known, start, key=lambda item: item[0]) - 1
        inside = place >= 0 and start + storage.nbytes() <= known[place][1]
        _owners[storage] = known[place][2] if inside else None
    return _owners[storage]


def _all_arrays() -> list[tuple[int, int, Any]]:
    """Every array that owns memory, with the addresses of its start and end, in their order."""
    numpy: Any = sys.modules["numpy"]
    found: dict[int, Any] = {}
    seen: set[int] = set()
    holders = gc.get_objects()
    while holders:
        inner = []
        for item in gc.get_referents(*holders):
            if issubclass(type(item), numpy.ndarray):
                owner = arrays.root(numpy, item)
                found[id(owner)] = owner
            elif type(item) in (tuple, dict) and not gc.is_tracked(item) and id(item) not in seen:
                seen.add(id(item))
                inner.append(item)
        holders = inner
    places = ((it.__array_interface__["data"][0], it) for it in found.values() if arrays.is_owner(it))
    return sorted(((start, start + it.nbytes, it) for start, it in places), key=lambda item: item[0])
