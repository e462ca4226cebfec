"""The global random generators: their sequences go on."""

import sys
from typing import Any

from kernel_broker.worker.state.providers.contract import Provider


class Random(Provider):
    """The generator behind `random.random()`. Kept from its first use or seeding on."""

    name = "random"
    needs = "random"
    late = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._last = self._read() if "random" in sys.modules else None
        self._touched = False

    def collect(self) -> Any:
        """Its state."""
        now = self._read()
        if now != self._last:
            self._touched, self._last = self._last is not None or self._touched, now
        return self._last if self._touched else None

    def apply(self, value: Any) -> None:
        """Set it."""
        import random

        random.setstate(value)
        self._last, self._touched = value, True

    @staticmethod
    def _read() -> Any:
        return sys.modules["random"].getstate()


class NumpyRandom(Provider):
    """The generator behind `numpy.random.rand()`. Kept from its first use or seeding on."""

    name = "numpy.random"
    needs = "numpy.random"
    late = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._last = self._read() if "numpy.random" in sys.modules else None
        self._value: Any = None

    def collect(self) -> Any:
        """Its state."""
        now = self._read()
        if self._last is None:
            self._last = now
        elif now != self._last:
            self._last = now
            self._value = sys.modules["numpy.random"].get_state(legacy=False)
        return self._value

    def apply(self, value: Any) -> None:
        """Set it."""
        import numpy as np

        np.random.set_state(value)
        self._last, self._value = self._read(), value

    @staticmethod
    def _read() -> Any:
        state = sys.modules["numpy.random"].get_state(legacy=False)
        inner = state["state"]
        key = inner["key"].tobytes() if "key" in inner else repr(inner)
        return state["bit_generator"], key, inner.get("pos"), state.get("has_gauss"), state.get("gauss")
