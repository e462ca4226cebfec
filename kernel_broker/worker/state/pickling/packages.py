"""Objects of data libraries that cannot pickle themselves, or would bring along what is the process's own."""

import gc
import importlib
import sys
from typing import Any

from kernel_broker.worker.state.pickling import classes, traits
from kernel_broker.worker.state.pickling.modules import find_home

_UFUNCS = ("numpy", "scipy.special", "numpy.linalg._umath_linalg", "numpy._core.umath")
"""Where a ufunc of a library is found by its name."""

_REGISTERED = "is known to live registries of its library"


def reduce_ufunc(pickler: Any, ufunc: Any) -> Any:
    """One of a library by its name, one of `frompyfunc` by its function."""
    own: str = ufunc.__name__
    for name in _UFUNCS:
        if getattr(sys.modules.get(name), own, None) is ufunc:
            return named, (name, own)
    functions: list[Any] = [
        item for item in gc.get_referents(ufunc) if callable(item) and type(item) is not type
    ]
    if len(functions) == 1 and own.endswith("(vectorized)"):
        return new_ufunc, (functions[0], ufunc.nin, ufunc.nout, ufunc.identity)
    return pickler.losses.tombstone(ufunc, "is a compiled function that no module has")


def new_ufunc(function: Any, inputs: int, outputs: int, identity: Any) -> Any:
    """A ufunc that calls a function for each item."""
    import numpy as np

    if identity is None:
        return np.frompyfunc(function, inputs, outputs)
    return np.frompyfunc(function, inputs, outputs, identity=identity)


def reduce_multi_ufunc(_pickler: Any, found: Any) -> Any:
    """A family of ufuncs, by its name."""
    name = found.__name__
    if getattr(sys.modules.get("scipy.special"), name, None) is found:
        return named, ("scipy.special", name)
    return NotImplemented


def named(module: str, name: str) -> Any:
    """What a module has under a name."""
    return getattr(importlib.import_module(module), name)


def reduce_drawing(_pickler: Any, drawing: Any) -> Any:
    """A pen of PIL: its image, and how it draws."""
    state = {name: value for name, value in vars(drawing).items() if name not in ("im", "draw", "_image")}
    return new_drawing, (type(drawing), drawing._image, drawing.mode), state, None, None, traits.fill_bare


def new_drawing(kind: Any, image: Any, mode: str) -> Any:
    """A pen on the image."""
    return kind(image, mode)


def reduce_pool(_pickler: Any, pool: Any) -> Any:
    """A pool of database connections, empty: idle ones are opened again when needed."""
    fresh = pool.recreate()
    return traits.new_bare, (type(pool),), vars(fresh), None, None, traits.fill_bare


def reduce_declared_class(pickler: Any, cls: Any) -> Any:
    """A mapped class of a library by name; one of the session's is lost."""
    if find_home(cls) is None:
        return pickler.losses.tombstone(cls, _REGISTERED)
    return classes.reduce_class(pickler, cls)


def reduce_mapped_state(pickler: Any, state: Any) -> Any:
    """What the mapper knows of an object."""
    if find_home(state.class_) is None:
        return pickler.losses.tombstone(state, _REGISTERED)
    return NotImplemented


def reduce_prepared(_pickler: Any, found: Any) -> Any:
    """A geometry prepared for many questions: prepared again."""
    return type(found), (found.context,)


def reduce_settings(_pickler: Any, found: Any) -> Any:
    """Settings of a function or class of pydantic, whose attributes cannot be asked for until it has them."""
    return new_settings, (type(found), found.config_dict)


def new_settings(kind: Any, settings: dict[str, Any]) -> Any:
    """The same, past the check that made them what they are."""
    return kind(settings, check=False)


def forbids_pickling(kind: type) -> bool:
    """Whether a class of patsy forbids what its authors only had not tested."""
    own = getattr(kind.__getstate__, "__module__", None) or ""
    return kind.__module__.startswith("patsy.") and own.startswith("patsy.")


def reduce_dataset(pickler: Any, found: Any) -> Any:
    """Data for boosting: lost once the library has taken it into its own memory."""
    return NotImplemented if found._handle is None else pickler.losses.tombstone(found)
