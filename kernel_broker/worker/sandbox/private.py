"""A worker's own folders, in place of those that all processes of a machine share."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Own:
    """The folders of one worker, made for it; no other process is let in."""

    home: str
    """Stands for the home and for the temporary folder; goes with the worker."""
    work: str = ""
    """Where the session's files are."""

    @property
    def shared_memory(self) -> str:
        """Where blocks of shared memory are."""
        return f"{self.home}/shm"

    @property
    def temporary(self) -> str:
        """Where temporary files are."""
        return f"{self.home}/tmp"  # noqa: S108  (nobody else's)

    def settle(self) -> None:
        """Have this process, and what it starts, use them."""
        Path(self.temporary).mkdir(0o700)
        Path(self.shared_memory).mkdir(0o700)
        os.chdir(self.home)
        self.announce()

    def announce(self) -> None:
        """Say where home and temporary files are, over what a session's environment says."""
        os.environ.update({"HOME": self.home, "TMPDIR": self.temporary})
        tempfile.tempdir = None
