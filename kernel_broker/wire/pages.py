"""Pages: how a state lists the working files of its session. The worker writes them, the broker reads them.

A page is a JSON document `{"format": 1, "files": [...]}` with some of the records, sorted by path. A path is
relative, its parts joined by `/`; a byte that is no UTF-8 stands in it as Python's `surrogateescape` has it.
The content of a file is cut every `PIECE` bytes, and each piece is a chunk.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from kernel_broker.wire.text import from_json, to_json

PREFIX: Final = "files/"
"""Entries of a state that start so are pages."""

FORMAT: Final = 1
PIECE: Final = 2**20

MTIME: Final = 10**22
"""Nanoseconds, either way of 1970: further away than any file system goes by design."""

Kind = Literal["file", "folder", "link"]

_CHUNK = re.compile(r"[0-9a-f]{40}")
_PAGE = re.compile(PREFIX + r"[0-9]{1,9}")
_PATH_BYTES = 4096
_NAME_BYTES = 255
_MODE = 0o7777
_KINDS = ("file", "folder", "link")


class PageError(ValueError):
    """Bytes that are no page, or a page with a record that must not be trusted."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file, folder or symbolic link. `mtime` is in nanoseconds, `mode` the permission bits."""

    path: str
    kind: Kind
    mode: int
    mtime: int
    size: int = 0
    chunks: tuple[str, ...] = ()
    target: str = ""
    """Where a link points; it is never followed."""

    @property
    def parent(self) -> str:
        """The path of the folder it is in; empty for the working directory itself."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """Its name in that folder."""
        return self.path.rpartition("/")[2]


def is_safe_path(path: str) -> bool:
    """Whether `path` names something inside the working directory, and in one way only."""
    if not path or any(part in ("", ".", "..") for part in path.split("/")):
        return False
    try:
        raw = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    if len(raw) > _PATH_BYTES or b"\0" in raw or any(len(name) > _NAME_BYTES for name in raw.split(b"/")):
        return False
    return raw.decode("utf-8", "surrogateescape") == path


def is_page(name: str) -> bool:
    """Whether an entry of that name is a page."""
    return name.startswith(PREFIX)


def chunks_of(entries: Mapping[str, bytes]) -> set[str]:
    """The chunks that the pages among the entries refer to; none if they cannot be read."""
    try:
        return {chunk for record in decode_pages(entries).values() for chunk in record.chunks}
    except PageError:
        return set()


def encode_page(records: Iterable[FileRecord]) -> bytes:
    """The page of these records."""
    files = [_to_json(record) for record in sorted(records, key=lambda record: record.path)]
    return to_json({"format": FORMAT, "files": files}).encode()


def decode_page(data: bytes) -> list[FileRecord]:
    """The records of a page; raises `PageError`."""
    try:
        document = from_json(data)
        if document["format"] != FORMAT:
            raise PageError(f"a page of files has format {document['format']!r}; this version reads {FORMAT}")
        return [_from_json(item) for item in document["files"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, PageError):
            raise
        raise PageError(f"a page of files cannot be read: {error!r}") from error


def decode_pages(entries: Mapping[str, bytes]) -> dict[str, FileRecord]:
    """All records of a state, by path, in order: a folder comes before what is in it. Raises `PageError`."""
    names = [name for name in entries if is_page(name)]
    if not all(_PAGE.fullmatch(name) for name in names):
        raise PageError("a page of files has a name that is none")
    pages = [entries[name] for name in names]
    listed = [record for data in pages for record in decode_page(data)]
    records = {record.path: record for record in sorted(listed, key=lambda record: record.path.split("/"))}
    if len(records) != len(listed):
        raise PageError("the pages of files name a path twice")
    for record in records.values():
        parent = records.get(record.parent)
        if record.parent and (parent is None or parent.kind != "folder"):
            raise PageError(f"{record.path!r} is listed in something that is no folder")
    return records


def _to_json(record: FileRecord) -> dict[str, Any]:
    item: dict[str, Any] = {
        "path": record.path,
        "kind": record.kind,
        "mode": record.mode,
        "mtime": record.mtime,
    }
    if record.kind == "file":
        item |= {"size": record.size, "chunks": record.chunks}
    elif record.kind == "link":
        item["target"] = record.target
    return item


def _from_json(item: dict[str, Any]) -> FileRecord:
    record = FileRecord(
        path=item["path"],
        kind=item["kind"],
        mode=item["mode"],
        mtime=item["mtime"],
        size=item.get("size", 0),
        chunks=tuple(item.get("chunks", ())),
        target=item.get("target", ""),
    )
    _check(record)
    return record


def _check(record: FileRecord) -> None:
    if not isinstance(record.path, str) or not is_safe_path(record.path):
        raise PageError(f"a page lists {record.path!r}, which is no path inside the working directory")
    numbers = (record.mode, record.mtime, record.size)
    if record.kind not in _KINDS or any(type(number) is not int for number in numbers):
        raise PageError(f"the record of {record.path!r} is malformed")
    if not 0 <= record.mode <= _MODE or record.size < 0 or abs(record.mtime) > MTIME:
        raise PageError(f"the record of {record.path!r} has numbers out of range")
    if not all(isinstance(name, str) and _CHUNK.fullmatch(name) for name in record.chunks):
        raise PageError(f"the record of {record.path!r} names what is no chunk")
    if len(record.chunks) != -(-record.size // PIECE) or (record.kind != "file" and record.chunks):
        raise PageError(f"the record of {record.path!r} does not name as many chunks as its size needs")
    if not _is_target(record.target) or (record.kind == "link") != bool(record.target):
        raise PageError(f"the record of {record.path!r} has a wrong target")


def _is_target(target: Any) -> bool:
    """Whether a link can be made that points there."""
    if not isinstance(target, str):
        return False
    try:
        raw = target.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return len(raw) <= _PATH_BYTES and b"\0" not in raw
