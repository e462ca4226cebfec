"""What of the graph of a tensor's gradients travels: its result. A use of the rest is told.

The graph itself lives in torch's own memory. A tensor that was computed with gradients comes back with its
value; going back through it raises `StateLost`, or, if the graph was used up before, what torch raises then.
"""

import functools
import sys
from typing import Any

from kernel_broker.worker.state.tombstone import StateLost, Tombstone, describe, pin_of

_USED_UP = "already been freed"
_FAR = 1000
"""Nodes of a graph that are looked at."""


def reduce_graph(pickler: Any, tensor: Any) -> tuple[str, Any]:
    """The name of the operation that made a tensor, and what going back through it says."""
    node = tensor.grad_fn
    name: str = type(node).__name__
    lost = getattr(node, "lost_graph", None)
    if lost is None:
        lost = _error_of(node)
    if lost is None:
        reason = f"keeps its value, but the graph of its gradients ({name}) is lost"
        lost = pickler.losses.bury(tensor, reason)
    return name, lost


def _error_of(node: Any) -> str | None:
    """What torch raises if the graph was used up; None for one that is whole."""
    queue, seen = [node], {node}
    for here in queue:
        kind: Any = type(here)
        for name in _saved_by(kind):
            try:
                getattr(here, name)
            except Exception as error:
                if _USED_UP in str(error):
                    return str(error)
        new = {it for it, _ in getattr(here, "next_functions", ()) if it is not None} - seen
        seen |= new
        if len(seen) < _FAR:
            queue += new
    return None


@functools.cache
def _saved_by(kind: type) -> tuple[str, ...]:
    return tuple(name for name in dir(kind) if name.startswith("_saved_") or name == "saved_tensors")


def lose_graph(tensor: Any, name: str, lost: Any) -> None:
    """Have a tensor say that the operation `name` made it; going back through that raises an error."""
    import torch

    with torch.enable_grad():
        _stand_in(name).apply(tensor, torch.empty(0, device="cpu", requires_grad=True), lost)


@functools.cache
def _stand_in(name: str) -> Any:
    """An operation that is shown under a name."""
    torch: Any = sys.modules["torch"]
    members = {"forward": staticmethod(_forward), "backward": staticmethod(_backward)}
    kind: Any = type("Lost", (torch.autograd.Function,), members)
    kind._backward_cls.__name__ = name
    return kind


def _forward(context: Any, tensor: Any, _anchor: Any, lost: Any) -> Any:
    context.lost_graph = lost
    context.mark_dirty(tensor)
    return tensor


def _backward(context: Any, *_: Any) -> Any:
    lost = context.lost_graph
    if isinstance(lost, Tombstone):
        raise StateLost(describe(pin_of(lost)))
    raise RuntimeError(lost)
