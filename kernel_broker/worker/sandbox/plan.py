"""The sandbox as a whole: which layers there are, which this kernel gives, and the order they are put on."""

import os
import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kernel_broker.worker.sandbox import calls, landlock, limits, paths, seccomp
from kernel_broker.worker.sandbox.landlock import Domain, Opened, open_path
from kernel_broker.worker.sandbox.limits import Limits
from kernel_broker.worker.sandbox.private import Own

CHILDREN: Final = Path("/proc/thread-self/children")
"""Who was left to this process; it tells what a worker has left behind."""

_LANDLOCK: Final = {
    "memory": (1, "5.13"),
    "files": (1, "5.13"),
    "truncation": (3, "6.2"),
    "tcp": (landlock.TCP_ABI, "6.7"),
    "devices": (5, "6.10"),
    "signals": (landlock.SCOPE_ABI, "6.12"),
}
"""Layers that are Landlock's: since which version of it, and of Linux."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What was asked for."""

    level: str
    network: str = "open"
    """none or open; else, the TCP ports that may be connected to."""
    read: tuple[str, ...] = ()
    """Paths that may be read besides the system's."""
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "Rules":
        """As the broker wrote them down."""
        bounds = Limits(**plain["limits"])
        return cls(plain["level"], plain["network"], tuple(plain["read"]), bounds)

    @property
    def strict(self) -> bool:
        """Whether every layer is demanded, that of files included."""
        return self.level == "strict"

    @property
    def ports(self) -> tuple[int, ...] | None:
        """TCP ports that may be connected to; None: all."""
        if self.network == "open":
            return None
        return tuple(int(port) for port in re.findall(r"\d+", self.network))

    @property
    def filter(self) -> seccomp.Network:
        """What the filter of system calls is to know of the network."""
        if self.network == "open":
            return "open"
        return "ports" if self.ports else "none"


class Sandbox:
    """Prepared in the zygote; entered in every worker."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._version = landlock.abi()
        self._program: bytes | None = None
        self._held = limits.held_memory()
        self._paths: list[Opened] = []
        self.layers: list[str] = ["privileges", "limits"]
        """The layers that are put on."""
        self.missing: dict[str, str] = {}
        """Layers that this kernel does not give, and why."""
        self._weigh()
        if rules.strict:
            wanted = dict.fromkeys((*paths.readable(), *rules.read), landlock.READ)
            wanted |= dict.fromkeys(paths.DEVICES, landlock.DEVICE)
            found = (open_path(path, rights) for path, rights in wanted.items())
            self._paths = [path for path in found if path is not None]
        elif (everything := open_path("/", landlock.REFER)) is not None:
            self._paths = [everything]

    def _weigh(self) -> None:
        for layer, (version, linux) in _LANDLOCK.items():
            if (layer in ("files", "truncation", "devices") and not self.rules.strict) or (
                layer == "tcp" and self.rules.ports is None
            ):
                continue
            if self._version >= version:
                self.layers.append(layer)
            else:
                has = f"version {self._version}" if self._version else "none"
                self.missing[layer] = f"Landlock of Linux {linux} (version {version}); there is {has}"
        if CHILDREN.exists():
            self.layers.append("descendants")
        else:
            self.missing["descendants"] = f"{CHILDREN}, which this kernel does not have"
        try:
            self._program = seccomp.assemble(self.rules.filter, not self.rules.strict)
            self.layers.append("system calls")
        except OSError as error:
            self.missing["system calls"] = f"seccomp: {error.strerror}"

    @property
    def refusal(self) -> str | None:
        """Why what was demanded cannot be given, if that is so."""
        if not self.rules.strict or not self.missing:
            return None
        return "; ".join(f"the layer '{layer}' needs {reason}" for layer, reason in self.missing.items())

    def describe(self) -> dict[str, Any]:
        """For operators."""
        rules = self.rules
        return {
            "level": rules.level,
            "network": rules.network,
            "layers": self.layers,
            "missing": self.missing,
        }

    def open(self, own: Own | None) -> list[Opened]:
        """A worker's own folders, opened before it is forked: as soon as it is, they may get other names."""
        if own is None or not self.rules.strict:
            return []
        found = [open_path(path, landlock.OWN, exact=True) for path in (own.home, own.work) if path]
        return [path for path in found if path is not None]

    def enter(self, own: Own | None, opened: Iterable[Opened] = ()) -> None:
        """Shut this process in, for good; raises `OSError`."""
        if own is not None:
            own.settle()
        limits.lower(self.rules.limits, self._held)
        calls.control(calls.PR_SET_CHILD_SUBREAPER, 1)
        limits.give_up_privileges(platform.machine())
        if self._version:
            self._enter_domain(opened)
            calls.control(calls.PR_SET_DUMPABLE, 1)  # siblings are kept out by now; the broker measures it
        if self._program is not None:
            seccomp.install(self._program)

    def _enter_domain(self, opened: Iterable[Opened]) -> None:
        itself = open_path("/proc/self/", landlock.READ)
        assert itself is not None
        try:
            domain = Domain(self._version, self.rules.strict, self.rules.ports)
            domain.enter([*self._paths, *opened, itself])
        finally:
            os.close(itself.descriptor)
