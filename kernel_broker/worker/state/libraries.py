"""Versions of the libraries that a state's objects come from."""

import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

_known: dict[str, str | None] = {}


def versions(modules: Iterable[str]) -> dict[str, str]:
    """Version by package, for those packages that have one."""
    packages = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names
    return {package: found for package in sorted(packages) if (found := _version(package)) is not None}


def _version(package: str) -> str | None:
    if package not in _known:
        stated = getattr(sys.modules.get(package), "__version__", None)
        _known[package] = stated if isinstance(stated, str) else _installed(package)
    return _known[package]


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
