"""How the user changed IPython: magics, aliases, formatters, events, transformers, configuration."""

from typing import Any

from kernel_broker.worker.state.pickling.live import parts_of
from kernel_broker.worker.state.pickling.modules import find_home
from kernel_broker.worker.state.providers.contract import Provider


class Extensions(Provider):
    """Extensions that were loaded, and autoreload's mode."""

    name = "extensions"

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._pristine = set(shell.extension_manager.loaded)

    def collect(self) -> Any:
        """Their names, in no order that matters."""
        loaded = sorted(self.shell.extension_manager.loaded - self._pristine)
        return (loaded, self._autoreload()) if loaded else None

    def apply(self, value: Any) -> None:
        """Load them before anything that may use them."""
        loaded, mode = value
        for name in loaded:
            self.shell.extension_manager.load_extension(name)
        reloader = self._reloader()
        if reloader is not None and mode is not None:
            for name, content in mode.items():
                setattr(reloader, name, content)

    def _autoreload(self) -> dict[str, Any] | None:
        reloader = self._reloader()
        if reloader is None:
            return None
        names = ("enabled", "check_all", "autoload_obj", "modules", "skip_modules")
        return {name: getattr(reloader, name) for name in names if hasattr(reloader, name)}

    def _reloader(self) -> Any:
        return getattr(self.shell.magics_manager.registry.get("AutoreloadMagics"), "_reloader", None)


class Customised(Provider):
    """Everything that can be registered with the shell and was not there in a fresh one."""

    name = "customised"
    in_graph = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._pristine = {name: dict(table) for name, table in self._tables().items()}
        self._lists = {name: list(items) for name, items in self._sequences().items()}

    def collect(self) -> Any:
        """The differences."""
        tables, sequences = {}, {}
        for name, table in self._tables().items():
            if table != (fresh := self._pristine.get(name, {})):
                changed = {key: value for key, value in table.items() if fresh.get(key, self) is not value}
                tables[name] = {key: value for key, value in changed.items() if not _of_extension(value)}
        for name, items in self._sequences().items():
            if items != (known := self._lists.get(name, [])):
                sequences[name] = [it for it in items if it not in known and not _of_extension(it)]
        shell = self.shell
        handler = (shell.custom_exceptions, shell.CustomTB) if shell.custom_exceptions else None
        found = {
            "tables": {name: table for name, table in tables.items() if table},
            "sequences": {name: items for name, items in sequences.items() if items},
            "exceptions": handler,
        }
        return found if any(found.values()) else None

    def apply(self, value: dict[str, Any]) -> None:
        """Register it all again."""
        tables, sequences = self._tables(), self._sequences()
        for name, table in value["tables"].items():
            if name in tables:
                tables[name].update(table)
        for name, items in value["sequences"].items():
            if name in sequences:
                sequences[name].extend(item for item in items if item not in sequences[name])
        configurables = self.shell.configurables
        registered = [it for it in self.shell.magics_manager.registry.values() if hasattr(it, "trait_names")]
        configurables.extend(it for it in registered if it not in configurables)
        if value["exceptions"] is not None:
            self.shell.custom_exceptions, self.shell.CustomTB = value["exceptions"]

    def _tables(self) -> dict[str, dict[Any, Any]]:
        manager = self.shell.magics_manager
        tables = {f"magic/{kind}": table for kind, table in manager.magics.items()}
        tables["magic/registry"] = manager.registry
        for mime, formatter in self.shell.display_formatter.formatters.items():
            tables[f"type/{mime}"] = formatter.type_printers
            tables[f"deferred/{mime}"] = formatter.deferred_printers
            tables[f"singleton/{mime}"] = formatter.singleton_printers
        kernel = getattr(self.shell, "kernel", None)
        if kernel is not None and hasattr(kernel, "comm_manager"):
            tables["comm targets"] = kernel.comm_manager.targets
        return tables

    def _sequences(self) -> dict[str, list[Any]]:
        sequences = {f"event/{name}": hooks for name, hooks in self.shell.events.callbacks.items()}
        sequences["ast"] = self.shell.ast_transformers
        sequences["cleanup"] = self.shell.input_transformer_manager.cleanup_transforms
        sequences["line"] = self.shell.input_transformer_manager.line_transforms
        sequences["post"] = self.shell.input_transformers_post
        return sequences


def _of_extension(value: Any) -> bool:
    """Whether an extension brings this along by itself: it belongs to an instance of its class."""
    if str(getattr(value, "__module__", "")).startswith("IPython.core.magics."):
        return True  # IPython's own are registered when they are first asked for
    owner = getattr(value, "__self__", value)
    kind = type(owner)
    return any(base.__qualname__ == "Magics" for base in kind.__mro__) and find_home(kind) is not None


class Configuration(Provider):
    """`%config`, `%precision`, `%xmode` and what else sets a configurable value of the shell."""

    name = "configuration"
    in_graph = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._pristine = [(part, dict(part._trait_values)) for part in _configurables(shell)]
        self._mode = shell.InteractiveTB.mode

    def collect(self) -> Any:
        """The values that differ."""
        changed: dict[tuple[str, str], Any] = {}
        for part, fresh in self._pristine:
            if part._trait_values != fresh:
                changed |= _changes(part, fresh)
        if self.shell.InteractiveTB.mode != self._mode:
            changed["mode", ""] = self.shell.InteractiveTB.mode
        return changed or None

    def apply(self, value: dict[tuple[str, str], Any]) -> None:
        """Set them."""
        parts = {type(part).__name__: part for part, _ in self._pristine}
        for (kind, name), content in value.items():
            if kind == "mode":
                self.shell.InteractiveTB.set_mode(content)
            elif kind in parts:
                setattr(parts[kind], name, content)


_PRINTERS = {"type_printers", "deferred_printers", "singleton_printers"}
"""Tables of functions, of which only what was added is kept: see `Customised`."""


def _configurables(shell: Any) -> list[Any]:
    return [part for part in parts_of(shell) if hasattr(part, "_trait_values")]


def _changes(part: Any, fresh: dict[str, Any]) -> dict[tuple[str, str], Any]:
    changed = {}
    for name in _settings(type(part)):
        now = part._trait_values.get(name, _absent)
        if now is _absent:
            continue
        if name not in fresh:  # it was only now asked for
            fresh[name] = _default(part, name)
        if now is not fresh[name] and now != fresh[name]:
            changed[type(part).__name__, name] = now
    return changed


_NAMES: dict[Any, list[str]] = {}


def _settings(kind: Any) -> list[str]:
    if kind not in _NAMES:
        _NAMES[kind] = [name for name in kind.class_trait_names(config=True) if name not in _PRINTERS]
    return _NAMES[kind]


def _default(part: Any, name: str) -> Any:
    try:
        return part.trait_defaults(name)
    except Exception:
        return _absent


_absent = object()
