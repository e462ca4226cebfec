"""What cells register with data libraries, which keep it in classes of theirs: accessors and namespaces."""

import contextvars
import sys
from typing import Any

from kernel_broker.worker.state.pickling.modules import find_home
from kernel_broker.worker.state.providers.contract import Provider

_PANDAS = ("Series", "DataFrame", "Index")


class PandasAccessors(Provider):
    """`register_series_accessor` and its kin."""

    name = "accessors of pandas"
    needs = "pandas.core.accessor"
    in_graph = True

    def collect(self) -> Any:
        """Classes of accessors by the class they were registered with, and name."""
        found = {}
        for owner in _PANDAS:
            kind = getattr(sys.modules.get("pandas"), owner, None)
            for name in kind._accessors if kind is not None else ():
                accessor = getattr(vars(kind).get(name), "_accessor", None)
                if accessor is not None and find_home(accessor) is None:
                    found[owner, name] = accessor
        return dict(sorted(found.items())) or None

    def apply(self, value: dict[tuple[str, str], Any]) -> None:
        """Register them."""
        from pandas.api import extensions

        for (owner, name), accessor in value.items():
            getattr(extensions, f"register_{owner.lower()}_accessor")(name)(accessor)


class PolarsNamespaces(Provider):
    """`polars.api.register_dataframe_namespace` and its kin."""

    name = "namespaces of polars"
    needs = "polars.api"
    in_graph = True

    _KINDS = ("DataFrame", "LazyFrame", "Series", "Expr")

    def collect(self) -> Any:
        """Classes of namespaces by the class they were registered with, and name."""
        found = {}
        for owner in self._KINDS:
            for name, value in vars(getattr(sys.modules["polars"], owner)).items():
                namespace = getattr(value, "_ns", None)
                if isinstance(namespace, type) and find_home(namespace) is None:
                    found[owner, name] = namespace
        return dict(sorted(found.items())) or None

    def apply(self, value: dict[tuple[str, str], Any]) -> None:
        """Register them."""
        from polars import api

        for (owner, name), namespace in value.items():
            getattr(api, f"register_{owner.lower()}_namespace")(name)(namespace)


class XarrayAccessors(Provider):
    """`xarray.register_dataset_accessor` and its kin."""

    name = "accessors of xarray"
    needs = "xarray.core.extensions"
    in_graph = True

    _KINDS = ("DataArray", "Dataset", "DataTree")

    def collect(self) -> Any:
        """Classes of accessors by the class they were registered with, and name."""
        made = sys.modules["xarray.core.extensions"]._CachedAccessor
        found = {}
        for owner in self._KINDS:
            for name, value in vars(getattr(sys.modules["xarray"], owner, object)).items():
                if type(value) is made and find_home(value._accessor) is None:
                    found[owner, name] = value._accessor
        return dict(sorted(found.items())) or None

    def apply(self, value: dict[tuple[str, str], Any]) -> None:
        """Register them."""
        import xarray

        for (owner, name), accessor in value.items():
            getattr(xarray, f"register_{owner.lower()}_accessor")(name)(accessor)


class PydanticGenerics(Provider):
    """Models that `Model[int]` made: the same expression gives the same class ever after."""

    name = "generics of pydantic"
    needs = "pydantic._internal._generics"
    in_graph = True
    reaches = False

    def collect(self) -> Any:
        """Those that are no library's."""
        cache = sys.modules["pydantic._internal._generics"]._GENERIC_TYPES_CACHE
        if isinstance(cache, contextvars.ContextVar):
            cache = cache.get() or {}
        found = {id(kind): kind for kind in list(cache.values()) if find_home(kind) is None}
        return sorted(found.values(), key=lambda kind: kind.__name__) or None

    def apply(self, value: list[Any]) -> None:
        """Have pydantic know them."""
        from pydantic._internal import _generics

        for kind in value:
            made = kind.__pydantic_generic_metadata__
            origin, arguments = made["origin"], made["args"]
            if origin is not None and arguments:
                _generics.set_cached_generic_type(origin, arguments, kind, origin, arguments)
