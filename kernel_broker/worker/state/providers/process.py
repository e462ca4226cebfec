"""What the operating system and the interpreter know of a session: folder, environment, limits, time zone."""

import ast
import importlib
import os
import re
import sys
import time
from typing import Any

from kernel_broker.worker.state.providers.contract import Provider

_getcwd, _chdir = os.getcwd, os.chdir
"""Those of the system, whatever cells put in their place."""


class Environment(Provider):
    """Environment variables that were set, changed or removed."""

    name = "environ"

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._pristine = dict(os.environ._data)  # type: ignore[attr-defined]
        self._zone = (time.tzname, time.timezone)

    def collect(self) -> Any:
        """What is different, and whether the time zone was put into effect."""
        now = os.environ._data  # type: ignore[attr-defined]
        zone = (time.tzname, time.timezone) != self._zone
        if now == self._pristine and not zone:
            return None
        changed = {name: value for name, value in now.items() if self._pristine.get(name) != value}
        return changed, [name for name in self._pristine if name not in now], zone

    def apply(self, value: Any) -> None:
        """Change the environment, for C code and children too."""
        changed, removed, zone = value
        for name, content in changed.items():
            os.environb[name] = content
        for name in removed:
            os.environb.pop(name, None)
        if zone:
            time.tzset()


class Folder(Provider):
    """The working directory, where a cell changed it."""

    name = "cwd"

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._pristine = _folder()

    def collect(self) -> str | None:
        """The folder; relative if it is in the one the session began in, which may be elsewhere next time."""
        now, first = _folder(), self._pristine
        if now == first:
            return None
        return now.removeprefix(f"{first}/") if now is not None else None

    def apply(self, value: str) -> None:
        """Enter it."""
        _chdir(f"{self._pristine}/{value}" if self._pristine is not None and value[:1] != "/" else value)


def _folder() -> str | None:
    try:
        return _getcwd()
    except OSError:
        return None  # it was removed


class Path(Provider):
    """`sys.path`, as a change of what this installation starts with."""

    name = "path"

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._pristine = list(sys.path)

    def collect(self) -> Any:
        """The entries; those of the installation by their number."""
        if sys.path == self._pristine:
            return None
        places = {entry: number for number, entry in enumerate(self._pristine)}
        return [places.get(entry, entry) if isinstance(entry, str) else str(entry) for entry in sys.path]

    def apply(self, value: list[Any]) -> None:
        """Set it."""
        here = self._pristine
        entries = [here[entry] if isinstance(entry, int) and entry < len(here) else entry for entry in value]
        sys.path[:] = [entry for entry in entries if isinstance(entry, str)]


class Interpreter(Provider):
    """Limits and defaults of the interpreter and of `socket` and `locale`."""

    name = "interpreter"

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._pristine = self._read()

    def collect(self) -> Any:
        """What is different."""
        now = self._read()
        changed = {name: value for name, value in now.items() if self._pristine.get(name) != value}
        return changed or None

    def apply(self, value: dict[str, Any]) -> None:
        """Set them."""
        if "recursion" in value:
            sys.setrecursionlimit(value["recursion"])
        if "switch" in value:
            sys.setswitchinterval(value["switch"])
        if "arguments" in value:
            sys.argv[:] = value["arguments"]
        if "mask" in value:
            os.umask(value["mask"])
        if "tracebacks" in value:
            sys.tracebacklimit = value["tracebacks"]
        if "timeout" in value:
            importlib.import_module("socket").setdefaulttimeout(value["timeout"])
        if "locale" in value:
            locale = importlib.import_module("locale")
            locale.setlocale(locale.LC_ALL, value["locale"])

    @staticmethod
    def _read() -> dict[str, Any]:
        found = {"recursion": sys.getrecursionlimit(), "switch": sys.getswitchinterval()}
        socket: Any = sys.modules.get("socket")
        locale: Any = sys.modules.get("locale")
        return found | {
            "arguments": list(sys.argv),
            "mask": _mask(),
            "tracebacks": getattr(sys, "tracebacklimit", None),
            "timeout": socket.getdefaulttimeout() if socket is not None else None,
            "locale": locale.setlocale(locale.LC_ALL) if locale is not None else None,
        }


def _mask() -> int:
    mask = os.umask(0o77)
    os.umask(mask)
    return mask


_DOTTED = re.compile(r"import\s+[\w.]*\w\.\w|import_module")


class Submodules(Provider):
    """Modules that a cell imported by a dotted name: what the name binds is only the outer package."""

    name = "submodules"

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._read = 1
        self._names: dict[str, None] = {}
        self._value: list[str] | None = None

    def collect(self) -> list[str] | None:
        """Their names."""
        cells = self.shell.history_manager.input_hist_parsed
        if len(cells) < self._read:
            self._read = 1  # the history was cleared
        for source in cells[self._read :]:
            if _DOTTED.search(source):
                self._names |= dict.fromkeys(_dotted_imports(source))
        self._read = len(cells)
        loaded = [name for name in self._names if name in sys.modules]
        if loaded != self._value:
            self._value = loaded or None
        return self._value

    def apply(self, value: list[str]) -> None:
        """Import them again."""
        self._names = dict.fromkeys(value)
        self._value = value
        self._read = len(self.shell.history_manager.input_hist_parsed)
        missing = []
        for name in value:
            try:
                importlib.import_module(name)
            except Exception:
                missing.append(name)
        if missing:
            raise ImportError(f"cannot import {', '.join(missing)}")


def _dotted_imports(source: str) -> list[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    texts = [call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)]
    names += [text for text in texts if isinstance(text, str) and "import_module" in source]
    return [name for name in names if "." in name]
