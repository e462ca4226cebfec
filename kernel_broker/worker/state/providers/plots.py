"""What matplotlib keeps for a session beside its settings and figures."""

import sys
from typing import Any

from kernel_broker.worker.state.providers.contract import Provider


class Colormaps(Provider):
    """Colour maps that cells registered under names."""

    name = "colormaps"
    needs = "matplotlib.cm"
    in_graph = True

    def collect(self) -> Any:
        """Maps by name."""
        matplotlib: Any = sys.modules["matplotlib"]
        registry = matplotlib.colormaps
        builtin = set(registry._builtin_cmaps)
        return {name: found for name, found in registry._cmaps.items() if name not in builtin} or None

    def apply(self, value: dict[str, Any]) -> None:
        """Register them."""
        import matplotlib as mpl

        for name, found in value.items():
            mpl.colormaps.register(found, name=name, force=True)


class DrawQueue(Provider):
    """What the inline backend will show: between two cells nothing, though figures that return ask it to."""

    name = "draw queue"
    needs = "matplotlib_inline.backend_inline"
    in_graph = True

    def collect(self) -> bool | None:
        """Whether figures are open, which will be queued when they come back."""
        helpers: Any = sys.modules.get("matplotlib._pylab_helpers")
        return True if helpers is not None and helpers.Gcf.figs else None

    def apply(self, _value: bool) -> None:
        """Empty the queue."""
        inline: Any = sys.modules.get("matplotlib_inline.backend_inline")
        if inline is not None:
            inline.show._to_draw, inline.show._draw_called = [], False
