"""All providers of a worker: what they keep, as entries or as roots of the graph, and its way back."""

import pickle
import sys
from collections.abc import Callable, Mapping
from typing import Any

from kernel_broker.worker.state.calm import Calm
from kernel_broker.worker.state.delta import Pin
from kernel_broker.worker.state.pickling.losses import because, type_name
from kernel_broker.worker.state.providers.accessors import (
    PandasAccessors,
    PolarsNamespaces,
    PydanticGenerics,
    XarrayAccessors,
)
from kernel_broker.worker.state.providers.compiled import CompiledCells
from kernel_broker.worker.state.providers.contract import Provider
from kernel_broker.worker.state.providers.customised import Configuration, Customised, Extensions
from kernel_broker.worker.state.providers.events import Exits, LastError, Signals
from kernel_broker.worker.state.providers.history import History
from kernel_broker.worker.state.providers.libraries import (
    Backend,
    NumpyOptions,
    OpenFigures,
    PandasOptions,
    PlotSettings,
    XarrayOptions,
)
from kernel_broker.worker.state.providers.modules import ModuleData, ModuleSources
from kernel_broker.worker.state.providers.patches import Patches
from kernel_broker.worker.state.providers.plots import Colormaps, DrawQueue
from kernel_broker.worker.state.providers.process import Environment, Folder, Interpreter, Path, Submodules
from kernel_broker.worker.state.providers.randomness import NumpyRandom, Random
from kernel_broker.worker.state.providers.registrations import Collector, Registrations
from kernel_broker.worker.state.providers.resuming import OnResume
from kernel_broker.worker.state.providers.settings import Builtins, Copying, Decimals, Logging, Warnings
from kernel_broker.worker.state.providers.shell import Counter, Results
from kernel_broker.worker.state.providers.spotting import Places
from kernel_broker.worker.state.providers.streams import Redirected
from kernel_broker.worker.state.providers.tensors import TorchOptions, TorchRandom
from kernel_broker.worker.state.providers.widgets import Comms, Widgets
from kernel_broker.worker.state.recompute.switch import Recomputing

_ENTRY = "env/"
COLLECTED = "e:"
"""Labels of what providers collect begin so."""

PROVIDERS: tuple[type[Provider], ...] = (
    *(
        Environment,
        Folder,
        Path,
        ModuleSources,
        CompiledCells,
        Interpreter,
        Submodules,
        Places,
        Extensions,
        Backend,
        Counter,
        Decimals,
    ),
    *(Results, ModuleData, Warnings, Logging, Builtins, Copying, PandasOptions, NumpyOptions, XarrayOptions),
    *(PlotSettings, Colormaps, OpenFigures, DrawQueue, TorchOptions),
    *(OnResume, Recomputing, Configuration, Customised, Comms, Widgets),
    *(
        Patches,
        PandasAccessors,
        PolarsNamespaces,
        XarrayAccessors,
        PydanticGenerics,
        Signals,
        Collector,
        Registrations,
        Redirected,
        Exits,
        LastError,
        Random,
        NumpyRandom,
        TorchRandom,
    ),
)
"""In the order in which they are brought back."""


class Registry:
    """The providers of one shell. A provider that fails is reported, and harms no other."""

    def __init__(self, shell: Any, calm: Calm) -> None:
        self.history = History(shell)
        self._providers: list[Provider] = [self.history, *(make(shell) for make in PROVIDERS)]
        self.recomputing = next(it for it in self._providers if isinstance(it, Recomputing))
        for provider in self._providers:
            provider.calm = calm
        self._encoded: dict[str, tuple[Any, bytes]] = {}
        self.failures: list[Pin] = []

    def entries(self) -> dict[str, bytes]:
        """The entries of all providers outside the graph."""
        encoded: dict[str, tuple[Any, bytes]] = {}
        for provider in self._ready(in_graph=False):
            value = self._attempt(provider, provider.collect)
            if value is None:
                continue
            for page, content in (value if provider.paged else {"": value}).items():
                name = _entry(provider, page)
                known = self._encoded.get(name)
                if known is not None and known[0] is content:
                    encoded[name] = known
                    continue
                data = self._attempt(provider, pickle.dumps, content, 5)
                if data is not None:
                    encoded[name] = (content, data)
        self._encoded = encoded
        return {name: data for name, (_, data) in encoded.items()}

    def reaching(self, unasked: bool) -> list[str]:
        """Labels of the roots whose code may run: `unasked` in any cell, or else on a front end's message."""
        return [COLLECTED + it.name for it in self._providers if it.in_graph and (it.reaches or not unasked)]

    def labels(self, steady: bool) -> list[str]:
        """Labels of the values that cannot have changed if they are the same objects, or of the others."""
        return [COLLECTED + it.name for it in self._providers if it.in_graph and it.steady is steady]

    def values(self) -> dict[str, Any]:
        """The values that are stored with the variables, by label."""
        self.failures = []
        collected = (
            (COLLECTED + it.name, self._attempt(it, it.collect)) for it in self._ready(in_graph=True)
        )
        return {label: value for label, value in collected if value is not None}

    def restore_entries(self, entries: Mapping[str, bytes], late: bool) -> list[Pin]:
        """Bring back what is outside the graph: all but the late ones before the graph, those after it."""
        self.failures = []
        kept: dict[str, dict[str, bytes]] = {}
        for name, data in entries.items():
            if name.startswith(_ENTRY):
                owner, _, page = name.removeprefix(_ENTRY).partition("/")
                kept.setdefault(owner, {})[page] = data
        for provider in self._providers:
            if provider.name in kept and not provider.in_graph and provider.late is late:
                self._attempt(provider, _restore, provider, kept[provider.name])
        return self.failures

    def restore_roots(self, values: Mapping[str, Any]) -> list[Pin]:
        """Bring back what was stored with the variables."""
        self.failures = []
        for provider in self._providers:
            if COLLECTED + provider.name in values:
                self._attempt(provider, provider.apply, values[COLLECTED + provider.name])
        return self.failures

    def _ready(self, in_graph: bool) -> list[Provider]:
        return [
            provider
            for provider in self._providers
            if provider.in_graph is in_graph and (provider.needs is None or provider.needs in sys.modules)
        ]

    def _attempt(self, provider: Provider, work: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return work(*arguments)
        except Exception as error:
            self.failures.append(Pin(provider.name, type_name(type(error)), because(error), None))
            return None


def _entry(provider: Provider, page: str) -> str:
    return f"{_ENTRY}{provider.name}/{page}" if page else _ENTRY + provider.name


def _restore(provider: Provider, pages: Mapping[str, bytes]) -> None:
    if provider.paged:
        provider.apply({page: pickle.loads(data) for page, data in pages.items()})
    else:
        provider.apply(pickle.loads(pages[""]))
