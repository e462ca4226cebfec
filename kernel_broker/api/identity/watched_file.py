"""A small file whose content may change while the broker runs, as mounted secrets do."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

Content = TypeVar("Content")
log = logging.getLogger(__name__)

_Look = tuple[int, int, int]


class WatchedFile(Generic[Content]):
    """What `read` makes of the file's text. Looking for a change is one `stat`: every use does."""

    def __init__(self, path: Path, read: Callable[[str], Content]) -> None:
        """Read the file; raises ValueError if it cannot be read, or as `read` does."""
        self._path = path
        self._read = read
        self._seen = self._look()
        if self._seen is None:
            raise ValueError(f"there is no file {path}")
        try:
            self._content = read(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from error

    def content(self) -> Content:
        """What the file says now, or last said if it cannot be read; the log has the reason, once."""
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            try:
                self._content = self._read(self._path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                log.warning("%s cannot be used any more; what it last said holds: %s", self._path, error)
            else:
                log.info("%s has changed and was read again", self._path)
        return self._content

    def _look(self) -> _Look | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
