"""Settings of data libraries. Only those already imported are asked."""

import importlib.util
import os
import sys
from typing import Any

from kernel_broker.worker.state.providers.contract import Provider


class PandasOptions(Provider):
    """`pandas.options` that are not at their defaults."""

    name = "pandas"
    needs = "pandas"
    in_graph = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._places: list[tuple[dict[str, Any], str, Any, str]] = []
        self._registered = 0

    def collect(self) -> Any:
        """Their values by name."""
        config: Any = sys.modules["pandas._config.config"]
        registered = config._registered_options
        if len(registered) != self._registered:
            self._registered = len(registered)
            self._places = [
                (space, key, registered[name].defval, name)
                for space, key, name in _flat(config._global_config)
                if name in registered
            ]
        changed = {
            name: value
            for space, key, default, name in self._places
            if (value := space.get(key, default)) is not default and not _same(default, value)
        }
        return changed or None

    def apply(self, value: dict[str, Any]) -> None:
        """Set them."""
        import pandas as pd

        for name, content in value.items():
            pd.set_option(name, content)


def _flat(tree: dict[str, Any], prefix: str = "") -> list[tuple[dict[str, Any], str, str]]:
    """Where each option is: the dict, its key there, and its whole name."""
    found: list[tuple[dict[str, Any], str, str]] = []
    for name, value in tree.items():
        if type(value) is dict:
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((tree, name, prefix + name))
    return found


def _are_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    try:
        return dict.__eq__(one, other) is True
    except Exception:
        return False


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return bool(one == other) and type(one) is type(other)
    except Exception:
        return False


class NumpyOptions(Provider):
    """How numpy prints arrays and treats floating-point errors."""

    name = "numpy"
    needs = "numpy"
    in_graph = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._pristine = self._read() if "numpy" in sys.modules else None

    def collect(self) -> Any:
        """Both, if they are not as in a fresh process."""
        now = self._read()
        if self._pristine is None:  # imported by a cell; its defaults are what numpy documents
            import numpy as np

            space = vars(sys.modules["numpy._core.printoptions"])
            defaults = space.get("default_format_options_dict") or space["default_printoptions_dict"]
            self._pristine = (
                {**now[0], **defaults, "legacy": False},  # which it keeps as a number
                dict.fromkeys(np.geterr(), "warn") | {"under": "ignore"},
            )
        return now if now != self._pristine else None

    def apply(self, value: Any) -> None:
        """Set both."""
        import numpy as np

        options, errors = value
        np.set_printoptions(**{name: content for name, content in options.items() if name != "override_repr"})
        np.seterr(**errors)

    @staticmethod
    def _read() -> Any:
        numpy: Any = sys.modules["numpy"]
        return numpy.get_printoptions(), numpy.geterr()


class PlotSettings(Provider):
    """matplotlib's `rcParams`."""

    name = "matplotlib"
    needs = "matplotlib"
    in_graph = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        matplotlib: Any = sys.modules.get("matplotlib")
        self._pristine = dict.copy(matplotlib.rcParams) if hasattr(matplotlib, "rcParams") else None

    def collect(self) -> Any:
        """The values that differ."""
        matplotlib: Any = sys.modules["matplotlib"]
        if self._pristine is None:
            self._pristine = dict.copy(matplotlib.rcParamsDefault)
        fresh = self._pristine
        if _are_same(matplotlib.rcParams, fresh):
            return None
        changed = {
            name: value
            for name, value in dict.items(matplotlib.rcParams)
            if name not in fresh or not _same(fresh[name], value)
        }
        changed.pop("backend", None)
        return changed or None

    def apply(self, value: dict[str, Any]) -> None:
        """Set them."""
        import matplotlib as mpl

        dict.update(mpl.rcParams, value)


class Backend(Provider):
    """matplotlib's backend, where a cell chose one. Brought back before any figure."""

    name = "backend"
    needs = "matplotlib"

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._pristine = (os.environ.get("MPLBACKEND"), self._read() if "matplotlib" in sys.modules else None)

    def collect(self) -> str | None:
        """Its name."""
        found = self._read()
        return found if isinstance(found, str) and found not in self._pristine else None

    @staticmethod
    def _read() -> Any:
        return dict.get(sys.modules["matplotlib"].rcParams, "backend")

    def apply(self, value: str) -> None:
        """Switch to it."""
        import matplotlib.pyplot as plt

        plt.switch_backend(value)


class OpenFigures(Provider):
    """Figures that pyplot manages: `plt.gca()` goes on where it was."""

    name = "figures"
    needs = "matplotlib.pyplot"
    in_graph = True

    def collect(self) -> Any:
        """The figures; each knows to register itself again."""
        managers = sys.modules["matplotlib._pylab_helpers"].Gcf.figs
        return [(number, manager.canvas.figure) for number, manager in managers.items()] or None

    def apply(self, value: list[Any]) -> None:
        """Give each its number again, and make the last one the current one."""
        import matplotlib.pyplot as plt

        open_ones = sys.modules["matplotlib._pylab_helpers"].Gcf.figs
        for number, figure in value:
            manager = figure.canvas.manager
            if manager is None:
                manager = plt._get_backend_mod().new_figure_manager_given_figure(number, figure)
            open_ones.pop(manager.num, None)
            manager.num = number
            open_ones[number] = manager


class XarrayOptions(Provider):
    """`xarray.set_options`."""

    name = "xarray"
    needs = "xarray.core.options"

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._pristine: dict[str, Any] | None = None

    def collect(self) -> Any:
        """Those that are not at their defaults, which only the source of the module has."""
        module: Any = sys.modules["xarray.core.options"]
        if self._pristine is None:
            fresh: Any = importlib.util.module_from_spec(module.__spec__)
            module.__spec__.loader.exec_module(fresh)
            self._pristine = fresh.OPTIONS
        known = self._pristine
        changed = {name: value for name, value in module.OPTIONS.items() if not _same(known.get(name), value)}
        return changed or None

    def apply(self, value: dict[str, Any]) -> None:
        """Set them."""
        from xarray.core import options

        options.OPTIONS.update(value)
