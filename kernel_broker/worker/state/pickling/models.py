"""Models and optimizers of torch: with the hooks that pickle leaves out."""

import sys
import types
from typing import Any

from kernel_broker.worker.state.pickling import traits


def reduce_module(pickler: Any, module: Any) -> Any:
    """As it is: some classes that torch makes refuse to be pickled though all in them can be."""
    if getattr(type(module).__getstate__, "__module__", None) == "torch.nn.utils.parametrize":
        return traits.reduce_whole(pickler, module)
    return NotImplemented


def reduce_optimizer(_pickler: Any, optimizer: Any) -> Any:
    """With its hooks, and with what a scheduler put in the place of its `step`."""
    return new_optimizer, (type(optimizer),), vars(optimizer), None, None, fill_optimizer


def new_optimizer(kind: Any) -> Any:
    """An optimizer whose class has been made ready as that of a first optimizer is."""
    optimizer = kind.__new__(kind)
    optimizer._patch_step_function()
    return optimizer


def fill_optimizer(optimizer: Any, state: dict[str, Any]) -> None:
    """Give it what it had."""
    vars(optimizer).update(state)


def reduce_compiled(pickler: Any, function: types.FunctionType) -> Any:
    """A function that torch has compiled is lost."""
    return pickler.losses.tombstone(function, "was compiled in the process that made it")


def reduce_handle(_pickler: Any, handle: Any) -> Any:
    """What removes a hook; the tables of hooks on all modules are the process's own."""
    tables = {id(table): name for name, table in tables_of_hooks().items()}
    names = [tables.get(id(it())) for it in (handle.hooks_dict_ref, *handle.extra_dict_ref)]
    if names[0] is None:
        return NotImplemented
    return new_handle, (tuple(names), handle.id)


def new_handle(names: tuple[str, ...], number: int) -> Any:
    """What removes a hook on all modules."""
    import torch

    tables = tables_of_hooks()
    handle = torch.utils.hooks.RemovableHandle.__new__(torch.utils.hooks.RemovableHandle)
    handle.__setstate__((tables[names[0]], number, tuple(tables[name] for name in names[1:])))
    return handle


def tables_of_hooks() -> dict[str, Any]:
    """The tables of hooks on all modules, by name."""
    module = vars(sys.modules["torch"].nn.modules.module)
    return {name: it for name, it in module.items() if name.startswith("_global_") and hasattr(it, "items")}
