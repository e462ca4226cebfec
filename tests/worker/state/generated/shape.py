"""A namespace written down: values, and who is whom. Two namespaces are equal if their shapes are.

Nothing of the user's is called, nothing is changed; every object is numbered when it is first met, so that
the same text means the same graph.
"""

import enum
import functools
import io
import re
import sys
import types
import weakref
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from singles import ADDRESS, ATOMS, MAY_BE_SPENT, digest, digest_of, is_atom, is_spent, proxied, root_of

_NOT_THE_USERS = re.compile(
    r"_i\d*|_ii|_iii|_ih|_oh|_dh|In|exit|quit|open|get_ipython|__warningregistry__|__(?:name|doc|package|loader|spec|builtins?)__"
)
_MADE_BY_PYTHON = frozenset(
    "__dict__ __weakref__ __module__ __slotnames__ _abc_impl __abstractmethods__ __dataclass_params__".split()
)
_LIVE = (
    types.GeneratorType,
    types.CoroutineType,
    types.AsyncGeneratorType,
    types.FrameType,
    types.TracebackType,
)


def shape_of(shell: Any) -> str:
    """The shape of a shell's variables, hooks and magics."""
    writer = _Writer(shell)
    for name, value in list(shell.user_ns.items()):
        if not _NOT_THE_USERS.fullmatch(name):
            writer.entry(name, value)
    writer.entry("Out", shell.user_ns.get("Out"))
    for event, callbacks in shell.events.callbacks.items():
        hooks = [hook for hook in callbacks if getattr(hook, "__module__", None) == "__main__"]
        if hooks:
            writer.entry(f"on {event}", hooks)
    for kind, magics in shell.magics_manager.magics.items():
        own = {name: it for name, it in magics.items() if getattr(it, "__module__", None) == "__main__"}
        if own:
            writer.entry(f"{kind} magics", own)
    random = sys.modules.get("random")
    writer.entry("random", random.getstate()[1][-1] if random else None)
    return writer.text()


class _Writer:
    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._out: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._alive: list[Any] = []
        self._arrays: dict[int, list[np.ndarray]] = {}
        self._roots: dict[int, int] = {}

    def entry(self, name: str, value: Any) -> None:
        self._out.append(f"\n{name} =")
        self.walk(value)

    def text(self) -> str:
        return " ".join(self._sharing(part) if isinstance(part, tuple) else part for part in self._out)

    def walk(self, x: Any) -> None:
        if is_atom(x):
            text = repr(x)
            self._out.append(ADDRESS.sub("", text) if " at 0x" in text else text)
        elif id(x) in self._numbers:
            self._out.append(f"#{self._numbers[id(x)]}")
        elif (word := self._word(x, type(x))) is not None:
            self._out.append(word)
        else:
            number = self._numbers[id(x)] = len(self._numbers)
            self._alive.append(x)
            kind = type(x)  # which of the two types of proxies it is was settled when it was made
            self._out.append(f"#{number}:{_name(kind) if kind not in weakref.ProxyTypes else 'proxy'}(")
            self._inside(x)
            self._out.append(")")

    def _word(self, x: Any, kind: type) -> str | None:
        """What stands for an object that is not looked into."""
        if issubclass(kind, _LIVE) or kind.__name__ == "Tombstone":
            return "~live"
        if kind in MAY_BE_SPENT and is_spent(x):
            return "spent"
        if x is self._shell:
            return "the shell"
        if x is self._shell.user_ns:
            return "the namespace"
        if kind is types.ModuleType and x.__name__ in sys.modules:
            return f"module {x.__name__}"
        return None

    def all(self, *parts: Any) -> None:
        for part in parts:
            self.walk(part)

    def _inside(self, x: Any) -> None:
        kind = type(x)
        write = _writer_of(kind)
        if write is not None:
            write(self, x)
        else:
            self._plain(x)
        if kind.__module__ == "__main__" and not issubclass(kind, type | types.FunctionType):
            self.walk(kind)
            self._attributes(x)

    def _plain(self, x: Any) -> None:
        if type(x).__module__ == "__main__":
            return
        if type(x).__name__.endswith("iterator") or type(x).__module__ in ("itertools", "builtins"):
            try:
                _, *rest = x.__reduce__()
            except TypeError:
                self._out.append(ADDRESS.sub("", repr(x)))
            else:
                self.all(*rest)
        elif hasattr(x, "__dict__"):
            self._attributes(x)
        else:
            self._out.append(ADDRESS.sub("", repr(x)))

    def _attributes(self, x: Any) -> None:
        for kind in type(x).__mro__:
            for name, member in vars(kind).items():
                if isinstance(member, types.MemberDescriptorType) and kind.__module__ == "__main__":
                    self._out.append(f".{name}")
                    try:
                        self.walk(member.__get__(x))
                    except AttributeError:
                        self._out.append("unset")
        try:
            held = object.__getattribute__(x, "__dict__")
        except AttributeError:
            return
        self.mapping(held)

    def mapping(self, x: Any) -> None:
        for key, value in dict.items(x):
            self.walk(key)
            self._out.append(":")
            self.walk(value)

    def function(self, x: types.FunctionType) -> None:
        self._out.append(f"{x.__module__}.{x.__qualname__}")
        self.code(x.__code__)
        self._out.append("here" if x.__globals__ is self._shell.user_ns else "elsewhere")
        for cell in x.__closure__ or ():
            self.walk(cell)
        self.all(x.__defaults__, x.__kwdefaults__, x.__doc__, x.__dict__, x.__annotations__)

    def code(self, code: types.CodeType) -> None:
        self._out.append(digest_of(code))

    def cell(self, x: types.CellType) -> None:
        try:
            self.walk(x.cell_contents)
        except ValueError:
            self._out.append("empty")

    def type(self, x: type) -> None:
        self._out.append(f"{x.__module__}.{x.__qualname__}")
        if isinstance(x, enum.EnumMeta):
            self.all(*((name, vars(member)) for name, member in x.__members__.items()))
        elif x.__module__ == "__main__":
            self.all(*x.__bases__)
            for name, member in sorted(vars(x).items(), key=_place):
                descriptor = isinstance(member, types.MemberDescriptorType | types.GetSetDescriptorType)
                undocumented = name == "__doc__" and member is None
                if name not in _MADE_BY_PYTHON and not descriptor and not undocumented:
                    self._out.append(f".{name}")
                    self.walk(member)

    def array(self, x: np.ndarray) -> None:
        root = root_of(x)
        self._arrays.setdefault(id(root), []).extend([x] if x.size else [])
        self._alive.append(root)
        flags = x.flags
        self._out.append(f"{x.dtype} {x.shape} {flags.writeable} {flags.c_contiguous} {flags.f_contiguous}")
        self._out.append((id(root), x.__array_interface__["data"][0]))
        if isinstance(root.base, bytes | bytearray | memoryview):
            self.walk(root.base)
        if x.dtype.hasobject:
            for item in x.ravel().tolist():
                self.walk(item)
        else:
            self._out.append(np.ascontiguousarray(x).tobytes().hex() if x.size < 64 else digest(x))

    def _sharing(self, part: tuple[int, int]) -> str:
        """Which memory an array looks at; an array that shares with nobody is on its own."""
        root, address = part
        group = self._arrays[root]
        if len(group) < 2:
            return "own memory"
        start = min(each.__array_interface__["data"][0] for each in group)
        return f"memory {self._roots.setdefault(root, len(self._roots))}+{address - start}"

    def frame(self, x: Any) -> None:
        self.all(x.columns, x.index, x.attrs)
        for position in range(x.shape[1]):
            self.walk(x.iloc[:, position].tolist())
        self._out.append(str([str(kind) for kind in x.dtypes]))

    def series(self, x: Any) -> None:
        self._out.append(str(x.dtype))
        self.all(x.name, x.index, x.tolist(), x.attrs)

    def index(self, x: Any) -> None:
        self._out.append(str(x.dtype))
        self.all(list(x.names), x.tolist())

    def dictionary(self, x: Any) -> None:
        if isinstance(x, defaultdict):
            self.walk(x.default_factory)
        self.mapping(x)

    def group(self, x: Any) -> None:
        for item in sorted(x, key=_order):
            self.walk(item)


def _place(item: tuple[str, Any]) -> str:
    """Python's own names come in an order that nobody made; the user's stay in theirs."""
    return item[0] if item[0].startswith("__") else "~"


def _order(item: Any) -> tuple[str, str]:
    return _name(type(item)), repr(item) if type(item) in ATOMS else ""


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _view(writer: _Writer, x: Any) -> None:
    writer.walk(x.mapping)


_WRITERS: list[tuple[Any, Callable[[_Writer, Any], None]]] = [
    (type, _Writer.type),
    (types.FunctionType, _Writer.function),
    (types.MethodType, lambda w, x: w.all(x.__func__, x.__self__)),
    (types.BuiltinMethodType, lambda w, x: w.all(x.__qualname__, x.__self__)),
    (types.CellType, _Writer.cell),
    (types.CodeType, _Writer.code),
    (weakref.ProxyTypes, lambda w, x: w.walk(proxied(x))),
    (functools.partial, lambda w, x: w.all(x.func, x.args, x.keywords, x.__dict__)),
    (np.ndarray, _Writer.array),
    (pd.DataFrame, _Writer.frame),
    (pd.Series, _Writer.series),
    (pd.Index, _Writer.index),
    (weakref.WeakValueDictionary, lambda w, x: w.mapping(dict(x.items()))),
    (weakref.WeakKeyDictionary, lambda w, x: w.mapping(dict(x.items()))),
    (weakref.WeakSet, lambda w, x: w.all(len(set(map(id, x))))),
    (weakref.ref, lambda w, x: w.all(x(), x.__callback__ if x() is not None else None)),
    (property, lambda w, x: w.all(x.fget, x.fset, x.fdel)),
    ((staticmethod, classmethod), lambda w, x: w.walk(x.__func__)),
    (dict, _Writer.dictionary),
    (list, lambda w, x: w.all(*list.__iter__(x))),
    (tuple, lambda w, x: w.all(*tuple.__iter__(x))),
    (deque, lambda w, x: w.all(x.maxlen, *deque.__iter__(x))),
    ((set, frozenset), _Writer.group),
    ((type({}.keys()), type({}.values()), type({}.items())), _view),
    (bytearray, lambda w, x: w.walk(bytes(x))),
    (memoryview, lambda w, x: w.all(x.obj, x.tobytes(), x.readonly)),
    (io.StringIO, lambda w, x: w.all(x.getvalue(), x.tell())),
    (BaseException, lambda w, x: w.all(x.args, x.__cause__)),
    (types.MappingProxyType, lambda w, x: w.mapping(x | {})),
]


def _writer_of(kind: type) -> Callable[[_Writer, Any], None] | None:
    if kind not in _known:
        found = next((write for base, write in _WRITERS if issubclass(kind, base)), None)
        if kind.__module__ == "__main__":
            return found  # held nowhere: it must end when it would without us
        _known[kind] = found
    return _known[kind]


_known: dict[type, Callable[[_Writer, Any], None] | None] = {}
