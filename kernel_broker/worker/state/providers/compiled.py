"""What cells compiled with `%%cython`: modules of machine code, whose files another machine does not have."""

import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import Any

from kernel_broker.worker.state.providers.contract import Provider

_PREFIX = "_cython_magic_"
_LIMIT = 2 * 2**20


class CompiledCells(Provider):
    """The files of the modules: their Python code runs again where they are loaded."""

    name = "cython"
    needs = "Cython"
    paged = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._found: dict[str, tuple[str, bytes]] = {}

    def collect(self) -> Any:
        """Path and contents by the name of the module."""
        for name in [it for it in list(sys.modules) if it.startswith(_PREFIX) and it not in self._found]:
            path = Path(getattr(sys.modules[name], "__file__", None) or "")
            if path.is_file() and path.stat().st_size <= _LIMIT:
                self._found[name] = (str(path), path.read_bytes())
        return self._found or None

    def apply(self, value: dict[str, tuple[str, bytes]]) -> None:
        """Load them, from files of their own if theirs are gone."""
        for name, (path, data) in value.items():
            here = Path(path)
            if not here.is_file() or here.read_bytes() != data:
                here = Path(tempfile.mkdtemp(prefix="cython-")) / here.name
                here.write_bytes(data)
            spec: Any = importlib.util.spec_from_file_location(name, here)
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
        self._found = value
