"""Requests of the broker's that change the working files: a `file_request` on the shell channel.

    file_request   {op: "write", path, size, chunks} · {op: "delete", path}
    file_reply     {status: "ok"} · {status: "error", code, detail}

The content of a write is in the store already, as chunks; the commit after the request refers to them.
"""

import os
import secrets
import stat
import time
from contextlib import suppress
from typing import Any

from kernel_broker.wire.pages import FileRecord, is_safe_path
from kernel_broker.worker.files.content import write
from kernel_broker.worker.files.tree import open_folder
from kernel_broker.worker.files.working import WorkingFiles
from kernel_broker.worker.state.chunks import Fetch
from kernel_broker.worker.state.errors import StateError

REQUEST = "file_request"


class _Refused(Exception):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class FileRequests:
    """Carries them out, between cells."""

    def __init__(self, files: WorkingFiles, fetch: Fetch, key: bytes) -> None:
        self._files = files
        self._fetch = fetch
        self._key = key

    def install(self, kernel: Any) -> None:
        """Have the kernel hand the requests over."""
        kernel.shell_handlers[REQUEST] = lambda stream, ident, parent: kernel.session.send(
            stream, "file_reply", self.answer(parent["content"]), parent, ident=ident
        )

    def answer(self, content: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked; the content of the reply."""
        path = content["path"]
        if not is_safe_path(path):
            return _error("invalid", f"{path!r} is no path inside the working directory")
        operation = self._write if content["op"] == "write" else self._delete
        try:
            root = self._files.open()
            try:
                operation(root, content)
            finally:
                os.close(root)
        except _Refused as error:
            return _error(error.code, str(error))
        except OSError as error:
            return _error("file_conflict", f"{path!r}: {error.strerror}")
        except StateError as error:
            return _error("store_unavailable", f"{path!r}: {error}")
        return {"status": "ok"}

    def _write(self, root: int, content: dict[str, Any]) -> None:
        path, chunks = content["path"], tuple(content["chunks"])
        reason = self._files.refuse(path, content["size"])
        if reason is not None:
            raise _Refused("too_large", f"{path!r} is not kept: {reason}")
        parent, _, name = path.rpartition("/")
        folder = _make_folders(root, parent)
        try:
            mode = _mode_of(folder, path)
            draft = FileRecord(
                f".{secrets.token_hex(8)}", "file", mode, time.time_ns(), content["size"], chunks
            )
            write(folder, draft, zip(chunks, self._fetch(chunks), strict=True), self._key)
            try:
                os.rename(draft.name, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(draft.name, dir_fd=folder)
                raise
        finally:
            os.close(folder)

    def _delete(self, root: int, content: dict[str, Any]) -> None:
        path = content["path"]
        parent, _, name = path.rpartition("/")
        try:
            folder = open_folder(root, parent)
            try:
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    os.rmdir(name, dir_fd=folder)
                else:
                    os.unlink(name, dir_fd=folder)
            finally:
                os.close(folder)
        except (FileNotFoundError, NotADirectoryError):
            raise _Refused("file_not_found", f"the session has no file {path!r}") from None


def _error(code: str, detail: str) -> dict[str, Any]:
    return {"status": "error", "code": code, "detail": detail}


def _make_folders(root: int, path: str) -> int:
    """A descriptor of the folder, made with those above it where they are missing."""
    here = os.dup(root)
    for part in path.split("/") if path else ():
        above = here
        try:
            with suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=above)
            here = open_folder(above, part)
        finally:
            os.close(above)
    return here


def _mode_of(folder: int, path: str) -> int:
    """The mode of the file that is replaced, or that of a new one."""
    try:
        status = os.stat(path.rpartition("/")[2], dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return 0o644
    if stat.S_ISDIR(status.st_mode):
        raise _Refused("not_a_file", f"{path!r} is a folder")
    return stat.S_IMODE(status.st_mode) if stat.S_ISREG(status.st_mode) else 0o644
