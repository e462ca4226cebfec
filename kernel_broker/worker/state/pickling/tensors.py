"""Tensors of torch: views of memory that may be shared, with gradients and hooks that pickle leaves out."""

import sys
import warnings
from typing import Any

from kernel_broker.worker.state.pickling import gradients


def reduce_tensor(pickler: Any, tensor: Any) -> Any:
    """A plain tensor as its place in its memory; any other in its own way."""
    torch: Any = sys.modules["torch"]
    kind = type(tensor)
    if not kind.__reduce_ex__.__module__.startswith("torch"):
        return NotImplemented  # a class of the user's says how
    with torch._C.DisableTorchFunction():
        if tensor.device.type not in ("cpu", "meta"):
            return reduce_on_device(tensor)
        function, arguments = _plain(tensor) if _is_plain(torch, tensor) else _own(torch, tensor)
        graph = gradients.reduce_graph(pickler, tensor) if tensor.grad_fn is not None else None
        made = (function, arguments, kind, tensor.requires_grad, graph)
        state = _state(tensor)
        return (new_tensor, made, state, None, None, fill_tensor) if state else (new_tensor, made)


def _is_plain(torch: Any, tensor: Any) -> bool:
    return (
        tensor.layout is torch.strided
        and tensor.device.type == "cpu"
        and not (tensor.is_quantized or tensor.is_nested or any(getattr(tensor, "names", ())))
        and torch._C._has_storage(tensor)
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
        and type(tensor).__torch_dispatch__ is torch.Tensor.__torch_dispatch__
    )


def _plain(tensor: Any) -> tuple[Any, tuple[Any, ...]]:
    place = (tensor.storage_offset(), tuple(tensor.size()), tensor.stride())
    bits = tensor.is_conj() + 2 * tensor.is_neg()
    return new_view, (tensor.untyped_storage(), str(tensor.dtype), *place, bits)


def _own(torch: Any, tensor: Any) -> tuple[Any, tuple[Any, ...]]:
    """The reduction of torch's own, of the bare value."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        function, arguments = torch.Tensor._reduce_ex_internal(tensor.detach(), 5)
    return rebuild, (function, arguments)


def _state(tensor: Any) -> dict[str, Any]:
    """What it has of attributes, gradient and hooks."""
    found: dict[str, Any] = {"own": dict(vars(tensor)) or None}
    if tensor.requires_grad:
        kept = tensor.retains_grad and not tensor.is_leaf
        found |= {"retains": kept or None, "gradient": tensor.grad if tensor.is_leaf or kept else None}
    if tensor.requires_grad and tensor.is_leaf:
        found |= {"hooks": tensor._backward_hooks, "late_hooks": tensor._post_accumulate_grad_hooks}
    return {name: value for name, value in found.items() if value is not None}


def new_view(
    storage: Any, dtype: str, offset: int, size: tuple[int, ...], stride: tuple[int, ...], bits: int
) -> Any:
    """A tensor on some memory; `bits` say whether it is shown as its conjugate (1), its negative (2)."""
    import torch

    kind = getattr(torch, dtype.removeprefix("torch."))
    tensor = torch.empty(0, dtype=kind, device="cpu").set_(storage, offset, size, stride)
    if bits:
        shown = {name: True for name, bit in (("conj", 1), ("neg", 2)) if bits & bit}
        torch._utils.set_tensor_metadata(tensor, shown)
    return tensor


def rebuild(function: Any, arguments: tuple[Any, ...]) -> Any:
    """A tensor that torch itself rebuilds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments)


def new_tensor(
    function: Any, arguments: tuple[Any, ...], kind: Any, requires: bool, graph: tuple[str, Any] | None
) -> Any:
    """A tensor of its class, without attributes."""
    import torch

    with torch._C.DisableTorchFunction(), torch.inference_mode(False):
        tensor = function(*arguments)
        if kind is not torch.Tensor and type(tensor) is not kind:
            tensor = torch.Tensor._make_subclass(kind, tensor, requires and graph is None)
        elif graph is None and tensor.requires_grad is not requires:
            tensor.requires_grad_(requires)
        if graph is not None:
            gradients.lose_graph(tensor, *graph)
    return tensor


def fill_tensor(tensor: Any, state: dict[str, Any]) -> None:
    """Give a tensor its attributes, gradient and hooks."""
    import torch

    with torch._C.DisableTorchFunction():
        vars(tensor).update(state.get("own", {}))
        if "retains" in state:
            tensor.retain_grad()
        if "gradient" in state:
            tensor.grad = state["gradient"]
        if "hooks" in state:
            tensor._backward_hooks = state["hooks"]
        if "late_hooks" in state:
            tensor._post_accumulate_grad_hooks = state["late_hooks"]


def reduce_on_device(tensor: Any) -> Any:
    """A tensor in the memory of a device as one in that of the host, with where it was."""
    arguments = (tensor.detach().cpu(), str(tensor.device), tensor.requires_grad and tensor.is_leaf)
    return tensor_on, arguments


def tensor_on(host: Any, device: str, gradient: bool) -> Any:
    """On its device again, if there is one; else on the host."""
    try:
        placed = host.to(device)
    except (RuntimeError, AssertionError, NotImplementedError):
        placed = host
    return placed.requires_grad_() if gradient else placed


def reduce_named(_pickler: Any, found: Any) -> Any:
    """A constant of torch, by its name."""
    return constant, (str(found),)


def constant(name: str) -> Any:
    """What torch has under a name."""
    import torch

    return getattr(torch, name.removeprefix("torch."))


def reduce_generator(_pickler: Any, generator: Any) -> Any:
    """The generator of the process as that of the other process; any other with its state."""
    if generator is sys.modules["torch"].default_generator:
        return constant, ("default_generator",)
    return NotImplemented
