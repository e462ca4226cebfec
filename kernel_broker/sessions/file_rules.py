"""Whether a session's working files travel with it, and how many of them may."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from kernel_broker.errors import BrokerError

FilesMode = Literal["host", "state"]

_NAMES: Final = {"total": "files_bytes", "count": "files_count", "single": "file_bytes"}
"""What a session's own limits are called."""


@dataclass(frozen=True, slots=True)
class FileLimits:
    """Bounds on the working files of one session, as its worker is told."""

    total: int = 2**30
    """Bytes of all files together."""
    count: int = 10_000
    """Files, folders and links."""
    single: int = 256 * 2**20
    """Bytes of one file."""


@dataclass(frozen=True, slots=True)
class FileRules:
    """What holds at this broker. Where files are `state`, no session may use the host's folders."""

    mode: FilesMode = "host"
    limits: FileLimits = FileLimits()

    def choose(self, wanted: FilesMode | None) -> FilesMode:
        """The mode of a new session; raises `BrokerError`."""
        if wanted == "host" and self.mode == "state":
            raise BrokerError(
                "this broker's sessions keep their files as part of their state (KERNEL_BROKER_FILES); none "
                "may work in a folder of the host",
                code="forbidden",
            )
        return wanted or self.mode

    def within(self, own: Mapping[str, Any]) -> FileLimits:
        """The limits of a session that has some of its own, which can only be lower."""
        values = {}
        for field, name in _NAMES.items():
            most = getattr(self.limits, field)
            value = own.get(name, most)
            if type(value) is not int or value < 0:
                raise BrokerError(f"limits.{name} must be a number, not {value!r}", code="invalid")
            values[field] = min(most, value)
        return FileLimits(**values)
