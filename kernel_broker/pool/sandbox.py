"""What workers are shut in with, as the broker knows it: the rules, and whether this kernel can keep them.

The layers themselves are the worker's (`worker.sandbox`). Without privileges the kernel filters TCP by port
only, so ports are all that a list may name.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from kernel_broker.pool.environment import clean_environment

Level = Literal["strict", "standard", "off"]

LEVELS: Final = ("strict", "standard", "off")


class SandboxRefused(Exception):
    """A layer that was demanded cannot be had here; the message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class SandboxRules:
    """How every worker of a broker is shut in."""

    level: Level = "off"
    network: str = "open"
    """`none`, `open`, or the TCP ports that may be connected to."""
    read: tuple[str, ...] = ()
    """Paths that may be read besides the system's and the Python environment."""
    memory: int = 0
    """Bytes of private memory of one process besides the libraries'; 0: any. So with the other two."""
    file: int = 0
    """Bytes of one file that is written."""
    processes: int = 0
    """Processes and threads of this account, over which sessions start no more."""
    guarded: tuple[str, ...] = ()
    """The broker's own files: no session's folder may hold them, or be in them."""

    @property
    def strict(self) -> bool:
        """Whether sessions are kept to folders of their own."""
        return self.level == "strict"

    def to_text(self) -> str:
        """As a zygote takes it; empty for no sandbox."""
        if self.level == "off":
            return ""
        limits = {"memory": self.memory, "file": self.file, "processes": self.processes}
        return json.dumps({"level": self.level, "network": self.network, "read": self.read, "limits": limits})

    def exposed(self) -> str | None:
        """A path that may be read, and would lead sessions to what is guarded; None if there is none."""
        return next((path for path in self.read if self._is_guarded(Path(path).resolve())), None)

    def admit(self, folder: str) -> str | None:
        """A folder of the host that a session may have to itself, links resolved; None if it may not."""
        path = Path(folder).resolve()
        refused = self._is_guarded(path) or _is_of_the_machine(path)
        return None if refused or not path.is_dir() else str(path)

    def _is_guarded(self, path: Path) -> bool:
        """Whether a path is one of the broker's own, or leads to one."""
        return any(path.is_relative_to(own) or Path(own).is_relative_to(path) for own in self.guarded)


def _is_of_the_machine(path: Path) -> bool:
    """Whether what other programs run, or are told by, is there: who writes it runs code outside."""
    home = Path.home().resolve()
    if home.is_relative_to(path) or (path.is_relative_to(home) and _is_hidden(path.relative_to(home))):
        return True
    software = {Path(name).resolve() for name in (sys.prefix, sys.base_prefix, *filter(None, sys.path))}
    return any(path.is_relative_to(name) or name.is_relative_to(path) for name in software | _SYSTEM)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


_SYSTEM = {Path(name) for name in ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/run",
                                   "/sbin", "/sys", "/usr", "/var/lib", "/var/run")}  # fmt: skip


def parse_network(text: str) -> str:
    """A network policy in its one form; raises `ValueError`."""
    if text in ("none", "open"):
        return text
    ports = [part.strip() for part in text.split(",")]
    if not all(port.isdecimal() and 0 < int(port) < 65536 for port in ports):
        raise ValueError(
            "it must be none, open, or a list of TCP ports such as 53,443: hosts cannot be told apart"
            " without a proxy, and are not taken"
        )
    return ",".join(sorted(set(ports), key=int))


async def probe(rules: SandboxRules) -> dict[str, Any]:
    """Put every layer on in a process of its own; what there is, and what not. Raises `SandboxRefused`."""
    if rules.level == "off":
        return {"level": "off", "network": "open", "layers": [], "missing": {}}
    if exposed := rules.exposed():
        raise SandboxRefused(
            f"KERNEL_BROKER_SANDBOX_READ: {exposed} has the broker's own files in it, or the sessions'"
        )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "kernel_broker.worker.sandbox", rules.to_text()),
        env=clean_environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    found: dict[str, Any] = json.loads(said) if process.returncode == 0 else {}
    refusal = found.pop("refusal", f"it ends with status {process.returncode} where it is tried")
    if refusal is not None:
        raise SandboxRefused(describe_refusal(rules, refusal))
    return found


def describe_refusal(rules: SandboxRules, reason: str) -> str:
    """What an operator is told."""
    return (
        f"KERNEL_BROKER_SANDBOX={rules.level} cannot be kept here: {reason}. Use a kernel that has it (and a"
        " container runtime that lets it through), or set KERNEL_BROKER_SANDBOX=standard and run one broker"
        " per tenant"
    )


def own_folders(home: Path, work: Path | str) -> dict[str, str]:
    """What a worker is told of the folders that are its alone."""
    return {"home": os.fspath(home), "work": os.fspath(work)}


def guarded_paths(candidates: Sequence[str]) -> tuple[str, ...]:
    """The broker's own files among what settings name, links resolved."""
    return tuple(str(Path(path).resolve()) for path in candidates if path)
