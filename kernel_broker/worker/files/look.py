"""One look at the tree: what is as it was seen before is taken over, the rest is read."""

import stat
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

from kernel_broker.wire.pages import FileRecord, Kind, is_safe_path
from kernel_broker.worker.files.content import Signature, mtime_of, read, signature
from kernel_broker.worker.files.limits import Budget, FileLimits
from kernel_broker.worker.files.tree import Found, read_link
from kernel_broker.worker.state.chunks import Chunks

_ODD = {
    stat.S_IFSOCK: "socket",
    stat.S_IFIFO: "pipe",
    stat.S_IFBLK: "device",
    stat.S_IFCHR: "device",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A record, and the signature under which it holds; None if the file must be read again."""

    record: FileRecord
    signature: Signature | None = None


class Look:
    """Fills `seen` with what is in the tree now, and `refused` with what cannot be kept: type and reason."""

    def __init__(self, before: Mapping[str, Seen], limits: FileLimits, chunks: Chunks) -> None:
        self._before = before
        self._limits = limits
        self._chunks = chunks
        self.seen: dict[str, Seen] = {}
        self.refused: dict[str, tuple[str, str]] = {}

    def take(self, root: int, found: list[Found], moving: Collection[str]) -> None:
        """Look at everything found; files whose paths are in `moving` are read whatever their times say."""
        changed = [item for item in found if item.path in moving or not self._is_unchanged(item)]
        present = {item.path for item in found}
        closed = tuple(item.path + "/" for item in found if item.refused is not None)
        hidden = [path for path in self._before if path not in present and path.startswith(closed)]
        kept = (self._before[path].record for path in [*present & self._before.keys(), *hidden])
        budget = Budget(self._limits, kept)
        for item in changed:
            parent = item.path.rpartition("/")[0]
            if not parent or parent in self.seen:
                self._look_at(root, item, budget)
        for path in hidden:
            self.keep(path)

    def _is_unchanged(self, item: Found) -> bool:
        """Take over a file that is as it was seen before; False if there is more to do."""
        before = self._before.get(item.path)
        if before is None or before.signature != signature(item.stat):
            return False
        if not self._chunks.hold(before.record.chunks):
            return False
        self.seen[item.path] = before
        return True

    def keep(self, path: str) -> bool:
        """Take over what was seen before, whatever is there now; whether the store has all of it."""
        before = self._before.get(path)
        if before is None or not self._chunks.hold(before.record.chunks):
            return False
        self.seen[path] = Seen(before.record)
        return True

    def refuse(self, path: str, kind: str, reason: str) -> None:
        """Leave the path as it was last saved, if it was, and say so."""
        if self.keep(path):
            reason += "; what was last saved of it stays saved"
        self.refused[path] = kind, reason

    def _look_at(self, root: int, item: Found, budget: Budget) -> None:
        mode = item.stat.st_mode
        before = self._before.get(item.path)
        if before is None and not is_safe_path(item.path):
            self.refused[item.path] = "file", "its name is too long"
        elif item.refused is not None:
            self.refuse(item.path, "folder", item.refused)
        elif stat.S_ISREG(mode):
            self._look_at_file(root, item, budget)
        elif stat.S_ISDIR(mode) or stat.S_ISLNK(mode):
            kind: Kind = "folder" if stat.S_ISDIR(mode) else "link"
            reason = budget.refuse(0, before.record if before is not None else None)
            if reason is not None:
                self.refuse(item.path, kind, reason)
                return
            with suppress(FileNotFoundError):
                target = read_link(root, item.path) if kind == "link" else ""
                times = stat.S_IMODE(mode), mtime_of(item.stat)
                self._add(FileRecord(item.path, kind, *times, target=target))
        else:
            self.refused[item.path] = _ODD.get(stat.S_IFMT(mode), "file"), "it is no regular file"

    def _look_at_file(self, root: int, item: Found, budget: Budget) -> None:
        before = self._before.get(item.path)
        size = item.stat.st_size
        reason = budget.refuse(size, before.record if before is not None else None)
        if reason is None:
            try:
                self._add(*read(root, item.path, size, self._chunks))
            except FileNotFoundError:
                return
            except OSError as error:
                reason = f"it cannot be read ({error.strerror})"
        if reason is not None:
            self.refuse(item.path, "file", reason)

    def _add(self, record: FileRecord, signed: Signature | None = None) -> None:
        before = self._before.get(record.path)
        same = before is not None and before.record == record
        self.seen[record.path] = Seen(before.record if same and before is not None else record, signed)
