"""What cells changed in libraries: attributes of modules and their classes, tables they fill, registrations.

Places come from the sources of the cells (see `spotting`); what is there after a cell is kept as it is, so
bringing it back does no harm where nothing had changed.
"""

import abc
import sys
import types
from dataclasses import dataclass
from typing import Any

from kernel_broker.worker.state.pickling.modules import find_home, is_static
from kernel_broker.worker.state.pickling.originals import originals
from kernel_broker.worker.state.providers.contract import Provider
from kernel_broker.worker.state.providers.spotting import places_of

_OWN_PROVIDER = frozenset({"sys", "builtins", "os.environ", "matplotlib.rcParams", "__main__"})
"""Places whose contents are the matter of other providers."""

_SYSTEM_HOOKS = frozenset({"excepthook", "unraisablehook", "ps1", "ps2", "dont_write_bytecode"})
"""What of the `sys` of Python itself is the user's to set."""

_SYSTEM = frozenset(vars(sys)) | {"last_type", "last_value", "last_traceback", "last_exc", "tracebacklimit"}
"""What Python puts in `sys`; read when the process is pristine."""

_PLAIN = (type(None), bool, int, float, complex, str, bytes, tuple)
_LONGEST = 10_000
"""Items of a table of a library that a session carries along."""

_OWNERS = (type, types.ModuleType)
"""What has attributes that cells may set on libraries."""

_Place = tuple[str, str]
"""A module, and the dotted path in it."""


@dataclass(frozen=True)
class Absent:
    """An attribute that was deleted."""


class Patches(Provider):
    """Changes to libraries."""

    name = "changes to libraries"
    in_graph = True

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._places = places_of(shell)
        self._spots = self._places.spots
        self._found: dict[str, Any] = {}
        self._outline: list[Any] = []

    def collect(self) -> Any:
        """What is at the places that cells may have changed."""
        self._places.read()
        attributes = self._attributes()
        originals.displaced = set(attributes)
        found = {
            "attributes": attributes,
            "contents": self._contents(),
            "registries": self._registries(),
        }
        if _outline(found) != self._outline:
            self._found, self._outline = found, _outline(found)
        return self._found if any(found.values()) else None

    def apply(self, value: dict[str, Any]) -> None:
        """Change the libraries again."""
        failed = []
        for place, content in value["attributes"].items():
            failed += [] if _set(place, content) else [place]
        for place, content in value["contents"].items():
            failed += [] if _fill(place, content) else [place]
        for place, content in value["registries"].items():
            failed += [] if _register(place, content) else [place]
        if failed:
            names = ", ".join(f"{module}.{path}" for module, path in failed)
            raise AttributeError(f"cannot be changed here: {names}")

    def _attributes(self) -> dict[_Place, Any]:
        found: dict[_Place, Any] = {}
        for path in self._spots.attributes:
            owner, place = self._resolve(path[:-1])
            name = path[-1]
            if place is not None and _may_change(owner, place, name):
                _note(found, owner, place, name)
        for chain in self._spots.wide:
            owner, place = self._resolve(chain)
            if place is not None and isinstance(owner, _OWNERS):
                for name, value in list(vars(owner).items()):
                    if _is_users(value) and _may_change(owner, place, name):
                        _note(found, owner, place, name)
        for owner, place in self._known() if self._spots.loose else ():
            space = vars(owner)
            for name in self._spots.loose:
                known = name in space and (_is_users(space[name]) or type(space[name]) in _PLAIN)
                if known and _may_change(owner, place, name):
                    _note(found, owner, place, name)
        return dict(sorted(found.items(), key=lambda item: item[0]))

    def _known(self) -> list[tuple[Any, _Place]]:
        """The libraries' modules and classes that the user's names are bound to."""
        variables = self.shell.user_ns.copy().items()
        bound = [name for name, value in variables if issubclass(type(value), _OWNERS) and type(name) is str]
        names = map(self._root, dict.fromkeys([*bound, *self._spots.imports]))
        found = {id(owner): (owner, place) for owner, place in names if place is not None}
        return [item for item in found.values() if isinstance(item[0], _OWNERS)]

    def _contents(self) -> dict[_Place, Any]:
        found = {}
        for chain in self._spots.contents:
            table, place = self._resolve(chain)
            if place is None or type(table) not in (list, dict, set) or len(table) > _LONGEST:
                continue
            if place[1] and place[0] not in _OWN_PROVIDER and ".".join(place) not in _OWN_PROVIDER:
                found[place] = table.copy()
        return found

    def _registries(self) -> dict[_Place, Any]:
        found: dict[_Place, Any] = {}
        for chain in self._spots.registries:
            owner, place = self._resolve(chain)
            if place is None:
                continue
            if isinstance(owner, abc.ABCMeta):
                members = [ref() for ref in abc._get_dump(owner)[0]]  # type: ignore[attr-defined]
                mine = [cls for cls in members if cls is not None and _is_users(cls)]
                found[place] = sorted(mine, key=lambda cls: cls.__qualname__)
            elif isinstance(owner, types.FunctionType) and hasattr(owner, "registry"):
                table = owner.registry.items()
                found[place] = {kind: way for kind, way in table if _is_users(way) or _is_users(kind)}
        return {place: content for place, content in found.items() if content}

    def _resolve(self, chain: tuple[str, ...]) -> tuple[Any, _Place | None]:
        """What a dotted name of a cell means now, if a library has it."""
        found, place = self._root(chain[0])
        for name in chain[1:]:
            if place is None:
                return None, None
            space = getattr(found, "__dict__", {})
            if name not in space and not isinstance(found, type):
                return None, None
            found = getattr(found, name, None)
            inner = found.__name__ if isinstance(found, types.ModuleType) else None
            if inner is not None and is_static(found, inner):
                place = (inner, "")
            else:
                place = (place[0], f"{place[1]}.{name}".lstrip("."))
        return found, place

    def _root(self, name: str) -> tuple[Any, _Place | None]:
        found = self.shell.user_ns.get(name, self)
        if found is self and name in self._spots.imports:
            module, attribute = self._spots.imports[name]
            found = sys.modules.get(module)
            found = getattr(found, attribute, None) if attribute and found is not None else found
        kind = type(found)  # a user's object may say anything of its class
        if issubclass(kind, types.ModuleType):
            inner = found.__name__
            return (found, (inner, "")) if inner != "__main__" and is_static(found, inner) else (found, None)
        return found, find_home(found) if issubclass(kind, type | types.FunctionType) else None


def _outline(found: dict[str, dict[_Place, Any]]) -> list[Any]:
    """What tells whether anything was put in the place of something else."""
    outline: list[Any] = []
    for kind, places in found.items():
        for place, content in places.items():
            if kind == "attributes":
                outline.append((kind, place, id(content)))
            else:
                values = content.values() if isinstance(content, dict) else ()
                outline.append((kind, place, *map(id, content), *map(id, values)))
    return outline


def _may_change(owner: Any, place: _Place, name: str) -> bool:
    if name.startswith("__") and name.endswith("__") and isinstance(owner, types.ModuleType):
        return False
    if place[0] == "sys":
        return name in _SYSTEM_HOOKS or not (place[1] or name in _SYSTEM)
    return place[0] not in _OWN_PROVIDER and not isinstance(owner, types.FunctionType)


def _note(found: dict[_Place, Any], owner: Any, place: _Place, name: str) -> None:
    path = f"{place[1]}.{name}".lstrip(".")
    space = getattr(owner, "__dict__", {})
    value = space[name] if name in space else Absent()
    if value is None and place[0].partition(".")[0] in sys.stdlib_module_names:
        return  # a part of the interpreter that is put out of action stays so only in its own process
    if find_home(value) != (place[0], path) and not isinstance(value, types.ModuleType):
        found[place[0], path] = value


def _is_users(value: Any) -> bool:
    """Whether this was made in a cell."""
    inner = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
    if isinstance(inner, types.FunctionType):
        return inner.__globals__.get("__name__") == "__main__"
    kind = inner if isinstance(inner, type) else type(inner)
    return kind.__module__ == "__main__"


def _owner(place: _Place) -> tuple[Any, str]:
    module, path = place
    __import__(module)
    found: Any = sys.modules[module]
    *outer, name = path.split(".")
    for part in outer:
        found = getattr(found, part)
    return found, name


def _set(place: _Place, content: Any) -> bool:
    try:
        owner, name = _owner(place)
        space = getattr(owner, "__dict__", {})
        if name in space:
            originals.keep(place, space[name])
        if not isinstance(content, Absent):
            setattr(owner, name, content)
        elif name in space:
            delattr(owner, name)
    except Exception:
        return False
    return True


def _fill(place: _Place, content: Any) -> bool:
    try:
        owner, name = _owner(place)
        table = getattr(owner, name)
        table.clear()
        (table.extend if isinstance(table, list) else table.update)(content)
    except Exception:
        return False
    return True


def _register(place: _Place, content: Any) -> bool:
    try:
        owner, name = _owner(place)
        target = getattr(owner, name)
        if isinstance(content, dict):
            for kind, way in content.items():
                target.register(kind, way)
        else:
            for cls in content:
                target.register(cls)
    except Exception:
        return False
    return True
