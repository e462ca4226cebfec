"""A session's working files for code that does not await."""

import os
from typing import Any

from kernel_manager.client.files import AsyncFiles
from kernel_manager.loop_thread import LoopThread


class Files:
    """See `AsyncFiles`."""

    def __init__(self, files: AsyncFiles, loop: LoopThread) -> None:
        self._files = files
        self._loop = loop

    def list(self) -> list[dict[str, Any]]:
        """What is in the folder: `path`, `kind` (file, folder, link), `size`, `mode`, `mtime`, `target`."""
        return self._loop.run(self._files.list())

    def read(self, path: str | os.PathLike[str]) -> bytes:
        """A file's bytes."""
        return self._loop.run(self._files.read(path))

    def download(self, path: str | os.PathLike[str], to: str | os.PathLike[str]) -> None:
        """Copy a file to a local one, which appears when it is complete."""
        self._loop.run(self._files.download(path, to))

    def write(self, path: str | os.PathLike[str], data: bytes | str) -> dict[str, Any]:
        """Make a file, or replace it, with the folders above it; its description."""
        return self._loop.run(self._files.write(path, data))

    def upload(
        self, local: str | os.PathLike[str], path: str | os.PathLike[str] | None = None
    ) -> dict[str, Any]:
        """Copy a local file into the session, under its own name unless `path` is given; its description."""
        return self._loop.run(self._files.upload(local, path))

    def delete(self, path: str | os.PathLike[str]) -> None:
        """Remove a file, a link, or an empty folder."""
        self._loop.run(self._files.delete(path))
