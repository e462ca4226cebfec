"""torch: its random generator, and what is set for the whole process."""

import os
import sys
from collections.abc import Callable
from typing import Any

from kernel_broker.worker.state.pickling.models import tables_of_hooks
from kernel_broker.worker.state.providers.contract import Provider


class TorchRandom(Provider):
    """The generator behind `torch.rand()`. Kept from the import of torch on, which seeds it by chance."""

    name = "torch.random"
    needs = "torch"
    late = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._value = b""

    def collect(self) -> Any:
        """Its state."""
        now = sys.modules["torch"].get_rng_state().numpy().tobytes()
        if now != self._value:
            self._value = now
        return self._value

    def apply(self, value: bytes) -> None:
        """Set it."""
        import torch

        torch.set_rng_state(torch.frombuffer(bytearray(value), dtype=torch.uint8))
        self._value = value


def _cores() -> int:
    return len(os.sched_getaffinity(0))


_SETTINGS: dict[str, tuple[str, Callable[[], Any]]] = {
    "get_default_dtype": ("set_default_dtype", lambda: sys.modules["torch"].float32),
    "get_default_device": ("set_default_device", lambda: sys.modules["torch"].device("cpu")),
    "get_num_threads": ("set_num_threads", _cores),
    "is_grad_enabled": ("set_grad_enabled", lambda: True),
    "get_deterministic_debug_mode": ("set_deterministic_debug_mode", lambda: 0),
    "get_float32_matmul_precision": ("set_float32_matmul_precision", lambda: "highest"),
    "is_anomaly_enabled": ("autograd.set_detect_anomaly", lambda: False),
    "is_warn_always_enabled": ("set_warn_always", lambda: False),
    "backends.cudnn.deterministic": ("", lambda: False),
    "backends.cudnn.benchmark": ("", lambda: False),
    "backends.cudnn.enabled": ("", lambda: True),
}
"""What asks for a setting, what sets it (nothing for a mere attribute), and what it is in a fresh process."""


class TorchOptions(Provider):
    """Settings, how tensors are printed, and hooks on all modules."""

    name = "torch"
    needs = "torch"
    in_graph = True

    def collect(self) -> Any:
        """What is not as in a fresh process."""
        torch: Any = sys.modules["torch"]
        settings = {name: value for name in _SETTINGS if (value := _get(torch, name)) != _SETTINGS[name][1]()}
        printing = torch._tensor_str.PRINT_OPTS
        shown = vars(printing) if printing != type(printing)() else {}
        hooks = {name: list(table.items()) for name, table in tables_of_hooks().items() if table}
        handles = torch.utils.hooks.RemovableHandle.next_id
        return (settings, dict(shown), hooks, handles) if settings or shown or hooks or handles else None

    def apply(self, value: Any) -> None:
        """Set it; numbers of hooks go on after those given so far."""
        import torch

        settings, shown, hooks, handles = value
        for name, setting in settings.items():
            _set(torch, name, setting)
        vars(torch._tensor_str.PRINT_OPTS).update(shown)
        for name, items in hooks.items():
            tables_of_hooks()[name].update(items)
        handle: Any = torch.utils.hooks.RemovableHandle
        handle.next_id = max(handle.next_id, handles)


def _walk(torch: Any, path: str) -> tuple[Any, str]:
    *way, last = path.split(".")
    here = torch
    for part in way:
        here = getattr(here, part)
    return here, last


def _get(torch: Any, name: str) -> Any:
    found = getattr(*_walk(torch, name))
    return found() if _SETTINGS[name][0] else found


def _set(torch: Any, name: str, value: Any) -> None:
    setter = _SETTINGS[name][0]
    if setter:
        getattr(*_walk(torch, setter))(value)
    else:
        setattr(*_walk(torch, name), value)
