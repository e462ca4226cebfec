"""The working files of a session, over REST: listed, read, written and deleted, large ones in streams."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote

import httpx

from kernel_broker.wire.pages import is_safe_path
from kernel_manager.client.connection import Connection, Content, Cut

_PIECE: Final = 2**20


class AsyncFiles:
    """Files of one session whose working directory travels with it; the broker refuses for others.

    Paths are relative to the working directory, as `os.listdir` would name them there. What is read is what
    the session's last finished cell left; nothing can be changed while a cell runs.
    """

    def __init__(
        self, connection: Connection, session_id: str, ensure: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._connection = connection
        self._base = f"/v1/sessions/{quote(session_id, safe='')}/files"
        self._ensure = ensure

    async def list(self) -> list[dict[str, Any]]:
        """What is in the folder: `path`, `kind` (file, folder, link), `size`, `mode`, `mtime`, `target`."""
        await self._ready()
        answer = await self._connection.request("GET", self._base)
        found: list[dict[str, Any]] = answer["files"]
        return found

    async def read(self, path: str | os.PathLike[str]) -> bytes:
        """A file's bytes."""
        held = bytearray()
        await self._fetch(path, held.extend, held.clear)
        return bytes(held)

    async def download(self, path: str | os.PathLike[str], to: str | os.PathLike[str]) -> None:
        """Copy a file to a local one, which appears when it is complete."""
        with _draft(Path(to)) as file:
            await self._fetch(path, file.write, lambda: file.truncate(file.seek(0)))

    async def write(self, path: str | os.PathLike[str], data: bytes | str) -> dict[str, Any]:
        """Make a file, or replace it, with the folders above it; its description."""
        content = data.encode() if isinstance(data, str) else bytes(data)
        return await self._send(path, content)

    async def upload(
        self, local: str | os.PathLike[str], path: str | os.PathLike[str] | None = None
    ) -> dict[str, Any]:
        """Copy a local file into the session, under its own name unless `path` is given; its description."""
        source = Path(local)
        return await self._send(source.name if path is None else path, lambda: _pieces(source))

    async def delete(self, path: str | os.PathLike[str]) -> None:
        """Remove a file, a link, or an empty folder."""
        await self._ready()
        await self._connection.request("DELETE", self._url(path))

    async def _send(self, path: str | os.PathLike[str], content: Content) -> dict[str, Any]:
        await self._ready()
        answer: dict[str, Any] = await self._connection.request("PUT", self._url(path), content=content)
        return answer

    async def _fetch(
        self, path: str | os.PathLike[str], take: Callable[[bytes], Any], restart: Callable[[], Any]
    ) -> None:
        """Hand over a file's bytes; from the start again, after `restart`, if the connection is cut."""
        await self._ready()
        url, patience = self._url(path), self._connection.new_patience()
        while True:
            try:
                response = await self._connection.open("GET", url)
                try:
                    async for piece in response.aiter_bytes(_PIECE):
                        take(piece)
                except httpx.TransportError as error:
                    raise self._connection.cut(error) from error
                finally:
                    await response.aclose()
            except Cut as cut:
                await asyncio.sleep(patience.next_pause(cut))
                restart()
            else:
                return

    async def _ready(self) -> None:
        if self._ensure is not None:
            await self._ensure()

    def _url(self, path: str | os.PathLike[str]) -> str:
        text = os.fspath(path)
        if not is_safe_path(text):
            raise ValueError(
                f"{text!r} is no path inside the session's folder: it must be relative, without '..'"
            )
        return f"{self._base}/{quote(text.encode('utf-8', 'surrogateescape'))}"


async def _pieces(source: Path) -> AsyncIterator[bytes]:
    with source.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece


@contextmanager
def _draft(target: Path) -> Iterator[IO[bytes]]:
    """A file that takes the target's place at the end of the block, unless that fails."""
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        try:
            yield file
            file.flush()
            Path(file.name).replace(target)
        except BaseException:
            Path(file.name).unlink()
            raise
