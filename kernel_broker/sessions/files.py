"""The working files of sessions, for who is not a cell: read from the store, changed through the worker.

What is read is what the last commit holds. What is written goes to the store in chunks as it comes in; then
the worker, woken if need be, makes the file of them between two cells, and the commit that follows has it.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from kernel_broker.errors import BrokerError, Conflict, NotFound, TooLarge
from kernel_broker.sessions.document import SessionDocument
from kernel_broker.sessions.file_rules import FileRules
from kernel_broker.sessions.ownership import Caller, find_record
from kernel_broker.sessions.pieces import name_of
from kernel_broker.sessions.run import Request, make_header
from kernel_broker.sessions.service import Sessions
from kernel_broker.store.contract import Store
from kernel_broker.wire.events import Event, read_line
from kernel_broker.wire.ids import ChunkId, SessionId, new_run_id
from kernel_broker.wire.pages import PIECE, FileRecord, PageError, decode_pages, is_safe_path
from kernel_broker.wire.problems import CODES

_AT_ONCE = 8
"""Chunks asked of the store, or given to it, at once."""


class SessionFiles:
    """Lists, reads, writes and deletes; raises `BrokerError`."""

    def __init__(self, store: Store, sessions: Sessions, rules: FileRules) -> None:
        self._store = store
        self._sessions = sessions
        self._rules = rules

    async def list(self, caller: Caller, session_id: SessionId) -> list[FileRecord]:
        """Everything in the session's folder; a folder comes before what is in it."""
        document = await self._document(caller, session_id)
        return list((await self._records(session_id, document)).values())

    async def find(self, caller: Caller, session_id: SessionId, path: str) -> FileRecord:
        """The record of a file."""
        document = await self._document(caller, session_id)
        _check(path)
        record = (await self._records(session_id, document)).get(path)
        if record is None:
            raise NotFound(f"the session has no file {path!r}", code="file_not_found")
        if record.kind == "folder":
            raise Conflict(f"{path!r} is a folder", code="not_a_file")
        if record.kind == "link":
            told = f"{path!r} is a symbolic link to {record.target!r}; links are not followed"
            raise Conflict(told, code="not_a_file")
        return record

    async def read(
        self, caller: Caller, session_id: SessionId, record: FileRecord, start: int, stop: int
    ) -> AsyncGenerator[bytes, None]:
        """The file's bytes from `start` to before `stop`, every chunk verified."""
        key = bytes.fromhex((await self._document(caller, session_id)).key)
        first = start // PIECE
        wanted = [ChunkId(name) for name in record.chunks[first : -(-stop // PIECE)]]
        for begin in range(0, len(wanted), _AT_ONCE):
            batch = wanted[begin : begin + _AT_ONCE]
            found = await self._store.get_chunks(session_id, batch)
            for number, chunk_id in enumerate(batch, first + begin):
                place = number * PIECE
                piece = _verified(found.get(chunk_id), chunk_id, key)
                if len(piece) != min(PIECE, record.size - place):
                    raise _damaged(chunk_id)
                yield piece[max(0, start - place) : stop - place]

    async def write(
        self, caller: Caller, session_id: SessionId, path: str, body: AsyncIterator[bytes]
    ) -> FileRecord:
        """Make the file, or replace it; its record as committed."""
        document = await self._document(caller, session_id)
        _check(path)
        self._check_idle(session_id)
        limit = self._rules.within(document.limits).single
        key, names, size = bytes.fromhex(document.key), [], 0
        batch: dict[ChunkId, bytes] = {}
        async for piece in _in_pieces(body):
            size += len(piece)
            if size > limit:
                raise TooLarge(f"{path!r} is larger than the {limit} bytes that one file may have")
            names.append(name_of(piece, key))
            batch[names[-1]] = piece
            if len(batch) == _AT_ONCE:
                await self._store.put_chunks(session_id, batch)
                batch = {}
        if batch:
            await self._store.put_chunks(session_id, batch)
        await self._ask(caller, session_id, {"op": "write", "path": path, "size": size, "chunks": names})
        record = (await self._records(session_id, document)).get(path)
        if record is None or record.kind != "file" or record.chunks != tuple(names):
            raise Conflict(f"{path!r} was changed by the session as it was written", code="file_conflict")
        return record

    async def delete(self, caller: Caller, session_id: SessionId, path: str) -> None:
        """Remove a file, a link, or an empty folder."""
        await self._document(caller, session_id)
        _check(path)
        self._check_idle(session_id)
        await self._ask(caller, session_id, {"op": "delete", "path": path})

    async def _document(self, caller: Caller, session_id: SessionId) -> SessionDocument:
        record = await find_record(self._store, caller, session_id)
        document = SessionDocument.from_bytes(record.doc)
        if document.files != "state":
            raise Conflict(
                "this session works in a folder of its host: its files are there, and not part of its state",
                code="files_on_host",
            )
        return document

    async def _records(self, session_id: SessionId, document: SessionDocument) -> dict[str, FileRecord]:
        entries = await self._store.entries(session_id)
        carried = {name: text.encode() for name, text in document.carried.items()}
        try:
            return decode_pages(entries | carried)
        except PageError as error:
            told = f"the list of the session's files is damaged: {error}"
            raise BrokerError(told, code="state_unreadable") from error

    def _check_idle(self, session_id: SessionId) -> None:
        if self._sessions.runs_cell(session_id):
            raise Conflict(
                "a cell of this session runs; its files can be changed when it has ended",
                code="session_running",
                retry_after=1,
            )

    async def _ask(self, caller: Caller, session_id: SessionId, content: dict[str, Any]) -> None:
        """Have the worker do it, and wait for the commit."""
        run_id = new_run_id()
        request = Request("shell", "file_request", make_header("file_request", run_id), content)
        log = await self._sessions.start(caller, session_id, run_id, request)
        reply: Event = {}
        end: Event = {}
        async for lines in log.follow(-1):
            for event in map(read_line, lines.splitlines()):
                if event["event"] == "message" and event["channel"] == "shell":
                    reply = event["content"]
                elif event["event"] == "end":
                    end = event
        if (problem := end.get("problem")) is not None:
            raise BrokerError(problem["detail"], code=problem["code"], retry_after=problem.get("retry_after"))
        if reply.get("status") != "ok":
            code = reply.get("code") if reply.get("code") in CODES else "kernel_failed"
            raise BrokerError(str(reply.get("detail", "the kernel did not answer")), code=code)


async def _in_pieces(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes, `PIECE` at a time."""
    held = bytearray()
    async for data in body:
        held += data
        while len(held) >= PIECE:
            yield bytes(held[:PIECE])
            del held[:PIECE]
    if held:
        yield bytes(held)


def _check(path: str) -> None:
    if not is_safe_path(path):
        raise BrokerError(
            f"{path!r} is no path inside the session's folder: it must be relative, without '.' and '..'",
            code="invalid",
        )


def _verified(piece: bytes | None, chunk_id: ChunkId, key: bytes) -> bytes:
    if piece is None or name_of(piece, key) != chunk_id:
        raise _damaged(chunk_id)
    return piece


def _damaged(chunk_id: ChunkId) -> BrokerError:
    return BrokerError(f"chunk {chunk_id} of the file is missing or damaged", code="state_unreadable")
