"""What could not be brought back of a state: tombstones for that alone, and a note until it is dealt with."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from kernel_broker.worker.state.definitions import Definitions, is_definition, uid_in
from kernel_broker.worker.state.delta import Pin
from kernel_broker.worker.state.tombstone import Tombstone, pin_of, rename
from kernel_broker.worker.state.units import Stored

_SETTINGS = ("e:", "n:")
"""Roots that are no variables: without them, things are as in a fresh process."""


class Damage:
    """What could not be brought back, as far as no commit has taken note of it."""

    def __init__(self) -> None:
        self._lost: list[Tombstone | Pin] = []
        self.labels: set[str] = set()
        """Roots whose chunks are lost: what stands in their place is not as it is stored."""
        self.chunks: set[str] = set()
        """Chunks that the store has lost: they are sent again if they are needed."""

    def note(self, lost: Iterable[Tombstone | Pin]) -> None:
        """The user is to be told of these."""
        self._lost += lost

    def bury(self, stored: Stored, reason: str) -> dict[str, Any]:
        """Tombstones for the variables and definitions of a unit."""
        shown = {f"v:{name}": (kind, cell) for name, kind, _, cell in stored.shown}
        graves: dict[str, Any] = {}
        for label in stored.unit.labels:
            self.labels.add(label)
            prefix, _, name = label.partition(":")
            kind, cell = shown.get(label, ("object", None))
            if prefix == "o":
                name, cell = f"Out[{name}]", int(name)
            if label.startswith(_SETTINGS):
                self._lost.append(Pin(name, "setting of the session", reason, None))
            else:
                graves[label] = Tombstone(name, kind, reason, cell)
                self._lost.append(graves[label])
        return graves

    @property
    def pins(self) -> list[Pin]:
        """What the user has not been told yet."""
        pins = [pin_of(it) if isinstance(it, Tombstone) else it for it in self._lost]
        return list(dict.fromkeys(pins))

    def tell(self) -> None:
        """The user is told of `pins`."""
        self._lost.clear()

    def settle(self, sent: Iterable[str], referred: Collection[str]) -> None:
        """A commit was made that wrote some chunks; those that the state refers to."""
        self.labels.clear()
        self.chunks.difference_update(sent)
        self.chunks.intersection_update(referred)


def give_up(definitions: Definitions, values: Mapping[str, Any]) -> None:
    """Let nobody have what was half made of definitions that have become tombstones."""
    for label, value in values.items():
        if is_definition(label) and type(value) is Tombstone:
            uid = uid_in(label)
            definitions.forget([uid])
            definitions.made[uid] = value
            rename(value, f"definition {uid}")


def forget(definitions: Definitions, values: Mapping[str, Any], kinds: Mapping[str, str]) -> None:
    """Tombstones are no definitions, once all is loaded; they are called what the user calls them."""
    graves = {id(made): uid for uid, made in definitions.made.items() if type(made) is Tombstone}
    definitions.forget(graves.values())
    for label, value in values.items():
        if label.startswith("v:") and graves.pop(id(value), None) is not None:
            rename(value, label.partition(":")[2], kinds.get(label))
