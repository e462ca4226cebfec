"""The working files of a session: what changed since the last look, and the whole tree in another process."""

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from kernel_broker.wire.pages import PREFIX, PageError, decode_page, decode_pages
from kernel_broker.worker.files.content import TICK, signature
from kernel_broker.worker.files.limits import Budget, FileLimits
from kernel_broker.worker.files.look import Look, Seen
from kernel_broker.worker.files.mapped import Mapped, mapped_files
from kernel_broker.worker.files.paging import Paging
from kernel_broker.worker.files.restore import restore_tree
from kernel_broker.worker.files.tree import Found, open_root, walk
from kernel_broker.worker.state.chunks import Chunks, Fetch
from kernel_broker.worker.state.delta import Pin
from kernel_broker.worker.state.errors import StateCorrupt


class WorkingFiles:
    """The tree below one folder. Called on the main thread, between cells."""

    def __init__(self, folder: Path, limits: FileLimits) -> None:
        self._folder = folder.resolve()
        self._limits = limits
        self._seen: dict[str, Seen] = {}
        self._paging = Paging()
        self._mapped: Mapped = frozenset()
        self._lost: dict[str, str] = {}
        self.lost_chunks: set[str] = set()
        """Chunks that `restore` has found missing from the store, or damaged there."""
        self.pins: list[Pin] = []
        """What the last look could not keep."""
        self.new_pins: list[Pin] = []
        """Those that the look before did not tell."""

    def open(self) -> int:
        """A descriptor of the folder; the caller closes it."""
        return open_root(self._folder)

    def refuse(self, path: str, size: int) -> str | None:
        """Why a file of `size` bytes would not be kept; None if it would."""
        before = self._seen.get(path)
        budget = Budget(self._limits, (seen.record for seen in self._seen.values()))
        return budget.refuse(size, before.record if before is not None else None)

    def collect(self, chunks: Chunks) -> dict[str, bytes]:
        """The pages that list the tree as it is now; the content of what changed is cut into `chunks`."""
        look = Look(self._seen, self._limits, chunks)
        try:
            root = self.open()
            try:
                self._take(look, root)
            finally:
                os.close(root)
        except OSError as error:
            look = Look(self._seen, self._limits, chunks)
            for path in self._seen:
                look.keep(path)
            reason = f"the session's folder cannot be read ({error.strerror}); what was saved stays saved"
            look.refused["."] = "folder", reason
        self._seen = look.seen
        self._tell(look.refused)
        return self._paging.lay_out({path: seen.record for path, seen in look.seen.items()})

    def _take(self, look: Look, root: int) -> None:
        found = list(walk(root))
        look.take(root, found, self._moving(found))
        present = {item.path for item in found}
        self._lost = {path: why for path, why in self._lost.items() if path not in present}
        for path, why in self._lost.items():  # a folder comes before what is in it
            parent = path.rpartition("/")[0]
            if not parent or parent in look.seen:
                look.refuse(path, self._seen[path].record.kind, why)

    def _moving(self, found: list[Found]) -> set[str]:
        """Files that are, or at the last look were, mapped for writing."""
        before, self._mapped = self._mapped, mapped_files(os.fsencode(self._folder)) if found else frozenset()
        mapped = before | self._mapped
        if not mapped:
            return set()
        return {
            item.path
            for item in found
            if (item.stat.st_dev, item.stat.st_ino) in mapped
            or os.fsencode(f"{self._folder}/{item.path}") in mapped
        }

    def _tell(self, refused: Mapping[str, tuple[str, str]]) -> None:
        told = {pin.name for pin in self.pins}
        self.pins = [Pin(path, kind, reason, None) for path, (kind, reason) in refused.items()]
        self.new_pins = [pin for pin in self.pins if pin.name not in told]

    def restore(self, entries: Mapping[str, bytes], fetch: Fetch, key: bytes) -> list[Pin]:
        """Bring the tree that the entries list into the folder; returns what could not be made.

        Raises `StateCorrupt`, with nothing written, if the pages are not what this class has made.
        """
        try:
            records = decode_pages(entries)
        except PageError as error:
            raise StateCorrupt(str(error)) from error
        root = self.open()
        try:
            self._lost, self.lost_chunks = restore_tree(root, records, fetch, key)
            made = {item.path: item.stat for item in walk(root)}
        finally:
            os.close(root)
        self._seen = {path: Seen(record) for path, record in records.items()}
        for path, record in records.items():
            status = made.get(path)
            # with an old time of its own, it cannot change unseen even in the tick it was made in
            if status is not None and record.mtime < status.st_ctime_ns - TICK and path not in self._lost:
                self._seen[path] = Seen(record, signature(status))
        self._paging.adopt(entries)
        self._lost = {path: self._lost[path] for path in records if path in self._lost}
        self._tell({path: (records[path].kind, why) for path, why in self._lost.items()})
        return self.pins

    @staticmethod
    def names(entries: Mapping[str, bytes]) -> set[str]:
        """The chunks that the entries refer to."""
        pages = [data for name, data in entries.items() if name.startswith(PREFIX)]
        return set().union(*map(_chunks_of, pages))


@lru_cache(maxsize=1024)
def _chunks_of(page: bytes) -> frozenset[str]:
    return frozenset(chunk for record in decode_page(page) for chunk in record.chunks)
