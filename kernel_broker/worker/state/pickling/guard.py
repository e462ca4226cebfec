"""The careful way to reduce: whatever an object's own code does, the outcome can be written or is a loss."""

import copyreg
import pickle
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

from kernel_broker.worker.state.pickling import dill_reducers
from kernel_broker.worker.state.pickling.losses import because
from kernel_broker.worker.state.pickling.table import Reducer

if TYPE_CHECKING:
    from kernel_broker.worker.state.pickling.pickler import StatePickler


def reduce(pickler: "StatePickler", found: Any, reducer: Reducer | None) -> Any:
    """The reduction of an object by its reducer, else its own, else dill's, else a tombstone."""
    try:
        reduced = reducer(pickler, found) if reducer is not None else NotImplemented
        if reduced is NotImplemented:
            reduced = own_reduction(found)
        return checked(found, reduced)
    except RecursionError as error:
        if not _recurses_alone(found):
            raise
        return _give_up(pickler, found, error)
    except BaseException as error:
        return _give_up(pickler, found, error)


def _give_up(pickler: "StatePickler", found: Any, error: BaseException) -> Any:
    pickler.suspect(type(found))
    reduced = dill_reducers.reduce(found)
    return reduced if reduced is not None else pickler.losses.tombstone(found, because(error))


def _recurses_alone(found: Any) -> bool:
    """Whether an object's own code never ends: it fails on a fresh stack as well as deep inside a dump."""
    failed = []

    def attempt() -> None:
        try:
            own_reduction(found)
        except RecursionError:
            failed.append(True)
        except BaseException:
            return

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return bool(failed)


def own_reduction(found: Any) -> Any:
    """What pickle itself would ask for."""
    if issubclass(type(found), type | types.FunctionType):
        return found.__qualname__
    reducer = copyreg.dispatch_table.get(type(found))
    return reducer(found) if reducer is not None else found.__reduce_ex__(5)


def checked(found: Any, reduced: Any) -> Any:
    """The reduction, once it is sure that writing its outer shape cannot fail."""
    if isinstance(reduced, str):
        _check_name(found, reduced)
        return reduced
    if not isinstance(reduced, tuple) or not 2 <= len(reduced) <= 6:
        raise pickle.PicklingError("its __reduce__ returned no reduction")
    if not callable(reduced[0]) or not isinstance(reduced[1], tuple):
        raise pickle.PicklingError("its __reduce__ returned no reduction")
    parts = list(reduced) + [None] * (6 - len(reduced))
    for place in (3, 4):
        if parts[place] is not None:
            parts[place] = iter(list(parts[place]))
    return tuple(parts)


def _check_name(found: Any, name: str) -> None:
    module_name = getattr(found, "__module__", None) or pickle.whichmodule(found, name)  # type: ignore[attr-defined]
    here: Any = sys.modules[module_name]
    for part in name.split("."):
        here = getattr(here, part)
    if here is not found or module_name == "__main__":
        raise pickle.PicklingError(f"it is not the same object as {module_name}.{name}")
