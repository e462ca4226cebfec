"""Which reducer is asked for which type."""

import contextvars
import copyreg
import dataclasses
import enum
import functools
import io
import random
import re
import struct
import threading
import types
import typing
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from kernel_broker.worker.state.pickling import (
    arrays,
    classes,
    comms,
    contexts,
    denied,
    exceptions,
    files,
    foreign,
    frames,
    functions,
    models,
    modules,
    originals,
    packages,
    plots,
    sentinels,
    stdlib,
    storages,
    tables,
    tensors,
    traits,
    views,
)

Reducer = Callable[[Any, Any], Any]


def _reduce_property(_pickler: Any, found: property) -> Any:
    return type(found), (found.fget, found.fset, found.fdel, found.__doc__)


def _reduce_function(pickler: Any, found: Any) -> Any:
    if "_torchdynamo_orig_callable" in vars(found):
        return models.reduce_compiled(pickler, found)
    return originals.reduce_original(found) or functions.reduce_function(pickler, found)


def _reduce_builtin(pickler: Any, found: Any) -> Any:
    return originals.reduce_original(found) or functions.reduce_builtin(pickler, found)


def _reduce_wrapped_method(_pickler: Any, found: Any) -> Any:
    return type(found), (found.__func__,)


def _reduce_field_kind(_pickler: Any, found: Any) -> Any:
    return getattr, (dataclasses, found.name)


def _reduce_descriptor(_pickler: Any, found: Any) -> Any:
    return getattr, (found.__objclass__, found.__name__)


EXACT: dict[type, Reducer | None] = {
    types.FunctionType: _reduce_function,
    types.CellType: functions.reduce_cell,
    types.CodeType: functions.reduce_code,
    types.MethodType: functions.reduce_method,
    types.BuiltinFunctionType: _reduce_builtin,
    types.ModuleType: modules.reduce_module,
    types.GetSetDescriptorType: _reduce_descriptor,
    types.MemberDescriptorType: _reduce_descriptor,
    types.MethodDescriptorType: _reduce_descriptor,
    types.WrapperDescriptorType: _reduce_descriptor,
    types.MappingProxyType: views.reduce_mapping_proxy,
    memoryview: views.reduce_memoryview,
    type({}.keys()): views.reduce_dict_view,
    type({}.values()): views.reduce_dict_view,
    type({}.items()): views.reduce_dict_view,
    type(OrderedDict().keys()): views.reduce_dict_view,
    type(OrderedDict().values()): views.reduce_dict_view,
    type(OrderedDict().items()): views.reduce_dict_view,
    staticmethod: _reduce_wrapped_method,
    classmethod: _reduce_wrapped_method,
    typing.TypeVar: classes.reduce_typevar,
    type(functools.lru_cache(int)): stdlib.reduce_lru_cache,
    type(functools.cmp_to_key(int)): stdlib.reduce_key_wrapper,
    type(threading.Lock()): stdlib.reduce_lock,
    type(threading.RLock()): stdlib.reduce_lock,
    weakref.ProxyType: stdlib.reduce_proxy,
    weakref.CallableProxyType: stdlib.reduce_proxy,
    weakref.finalize: stdlib.reduce_finalizer,
    weakref.WeakValueDictionary: stdlib.reduce_weak_dict,
    weakref.WeakKeyDictionary: stdlib.reduce_weak_dict,
    weakref.WeakSet: stdlib.reduce_weak_set,
    type(iter([])): stdlib.reduce_list_iterator,
    type(reversed([])): stdlib.reduce_list_iterator,
    re.Match: stdlib.reduce_match,
    struct.Struct: stdlib.reduce_struct,
    random.SystemRandom: stdlib.reduce_system_random,
    typing.NewType: stdlib.reduce_new_type,
    contextvars.ContextVar: contexts.reduce_context_variable,
    io.TextIOWrapper: files.reduce_file,
    io.BufferedReader: files.reduce_file,
    io.BufferedWriter: files.reduce_file,
    io.BufferedRandom: files.reduce_file,
    io.FileIO: files.reduce_file,
    io.StringIO: files.reduce_buffer,
    io.BytesIO: files.reduce_buffer,
    dataclasses._FIELD_BASE: _reduce_field_kind,  # type: ignore[attr-defined]
}
"""Reducers of instances of exactly these types."""

BASES: dict[type, Reducer] = {
    type: classes.reduce_class,
    enum.Enum: classes.reduce_enum_member,
    BaseException: exceptions.reduce_exception,
    types.ModuleType: modules.reduce_module,
    property: _reduce_property,
    weakref.ref: stdlib.reduce_weakref,
    threading.local: contexts.reduce_local,
}
"""Reducers of instances of these types and of all derived from them."""

NAMED: dict[str, Reducer] = {
    "numpy.ndarray": storages.reduce_array,
    "numpy.memmap": arrays.reduce_memory_map,
    "pandas._libs.internals.BlockValuesRefs": frames.reduce_references,
    "pandas.core.internals.managers.SingleBlockManager": frames.reduce_single_manager,
    "traitlets.utils.sentinel.Sentinel": traits.reduce_sentinel,
    "matplotlib.cbook.CallbackRegistry": plots.reduce_callbacks,
    "numpy.ufunc": packages.reduce_ufunc,
    "scipy.special._multiufuncs.MultiUFunc": packages.reduce_multi_ufunc,
    "shapely.prepared.PreparedGeometry": packages.reduce_prepared,
    "pydantic._internal._config.ConfigWrapper": packages.reduce_settings,
    "lightgbm.basic.Dataset": packages.reduce_dataset,
    "PIL.ImageDraw.ImageDraw": packages.reduce_drawing,
    "sqlalchemy.pool.impl.QueuePool": packages.reduce_pool,
    "sqlalchemy.pool.impl.NullPool": packages.reduce_pool,
    "sqlalchemy.orm.decl_api.DeclarativeAttributeIntercept": packages.reduce_declared_class,
    "sqlalchemy.orm.decl_api.DeclarativeMeta": packages.reduce_declared_class,
    "sqlalchemy.orm.state.InstanceState": packages.reduce_mapped_state,
    "torch.storage.UntypedStorage": storages.reduce_storage,
    "torch.storage.TypedStorage": storages.reduce_typed_storage,
    "torch._C.Generator": tensors.reduce_generator,
    "torch.utils.hooks.RemovableHandle": models.reduce_handle,
    "torch.layout": tensors.reduce_named,
    "_ctypes.PyCArrayType": foreign.reduce_array_type,
    "_ctypes.PyCPointerType": foreign.reduce_pointer_type,
    "_ctypes.PyCStructType": foreign.reduce_structure_type,
    "_ctypes.UnionType": foreign.reduce_structure_type,
    "tempfile._TemporaryFileWrapper": traits.reduce_whole,
    "_csv.writer": tables.reduce_writer,
    "_csv.reader": tables.reduce_reader,
    "_csv.Dialect": tables.reduce_dialect,
}
"""Reducers of instances of exactly the types of these names: their modules may never be imported."""

NAMED_BASES: dict[str, Reducer] = {
    **denied.REDUCERS,
    "pandas._libs.internals.Block": frames.reduce_block,
    "pandas.Index": frames.reduce_index,
    "ctypes.CDLL": foreign.reduce_library,
    "_ctypes.CFuncPtr": foreign.reduce_function,
    "comm.base_comm.BaseComm": comms.reduce_comm,
    "traitlets.traitlets.HasTraits": traits.reduce_traits,
    "traitlets.traitlets.EventHandler": traits.reduce_handler,
    "tqdm.utils.ObjectWrapper": traits.reduce_whole,
    "bs4.BeautifulSoup": traits.reduce_whole,
    "statsmodels.base.data.ModelData": traits.reduce_whole,
    "torch.Tensor": tensors.reduce_tensor,
    "torch.optim.optimizer.Optimizer": models.reduce_optimizer,
    "torch.nn.modules.module.Module": models.reduce_module,
}
"""Reducers of instances of the types of these names and of all derived from them."""


def reducer_for(kind: type) -> Reducer | None:
    """The reducer for a type, None if pickle's own way is right, or the user has said which is."""
    if getattr(copyreg.dispatch_table.get(kind), "__module__", None) == "__main__":
        return None
    if kind in EXACT:
        return EXACT[kind]
    named = NAMED.get(f"{kind.__module__}.{kind.__qualname__}")
    if named is not None:
        return named
    for base in kind.__mro__:
        reducer = BASES.get(base) or NAMED_BASES.get(f"{base.__module__}.{base.__qualname__}")
        if reducer is not None:
            return reducer
    if packages.forbids_pickling(kind):
        return traits.reduce_whole
    return sentinels.reduce_sentinel if sentinels.is_of_sentinels(kind) else None
