"""What somebody who may write in the store can do to sealed sessions: damage them, and nothing else."""

import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from backends import Backend, sealed_backend, sqlite_backend
from samples import BINARY, SID, A, B, held, record, step

from kernel_broker.store.contract import History, Lease, RunRecord
from kernel_broker.store.keyring import Keyring
from kernel_broker.store.sealed import SealedStore
from kernel_broker.store.unreadable import DocumentUnreadable, EntriesUnreadable, Unreadable
from kernel_broker.wire.ids import Revision, RunId, SessionId

OTHER, FORK = SessionId("other"), SessionId("fork")
RUN = RunId("r")
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a bit of the tag flipped": lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1]),
    "a bit of the nonce flipped": lambda sealed: sealed[:1] + bytes([sealed[1] ^ 1]) + sealed[2:],
    "another version": lambda sealed: b"\x02" + sealed[1:],
    "cut short": lambda sealed: sealed[:-1],
    "cut to nothing": lambda _: b"",
    "longer": lambda sealed: sealed + b"\0",
    "in plain text": lambda _: b"forged",
}
ENTRY = "entries SET data = ? WHERE session_id = ? AND name = ? AND until IS NULL"
CHUNK = "chunk_data SET data = ? WHERE number = (SELECT min(number) FROM chunks WHERE chunk_id = ?)"
DOC = "sessions SET doc = ? WHERE session_id = ?"
LOG = "runs SET log = ? WHERE session_id = ?"


@dataclass
class Place:
    """A sealed store with two sessions in it, and a hand in the file below."""

    backend: Backend
    lease: Lease
    file: sqlite3.Connection

    def read(self, what: str, *where: str) -> bytes:
        """The stored bytes that `what` would change."""
        table, _, rest = what.partition(" SET ")
        column, _, condition = rest.partition(" = ? WHERE ")
        (value,) = self.file.execute(f"SELECT {column} FROM {table} WHERE {condition}", where).fetchone()
        return bytes(value)

    def put(self, what: str, data: bytes, *where: str) -> None:
        with self.file:
            assert self.file.execute(f"UPDATE {what}", [data, *where]).rowcount > 0


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    path = tmp_path / "store.db"
    async with sealed_backend(sqlite_backend(path, History(revisions=5))) as backend:
        lease = await held(backend)
        theirs = await held(backend, OTHER)
        await backend.store.put_chunks(SID, {A: b"aaaa", B: b"bbbb"})
        await backend.store.put_chunks(OTHER, {A: b"other"})
        log = RunRecord(RUN, True, Revision(1), b"log")
        await backend.store.commit(step(lease, put={"x": BINARY, "y": b"why"}, add=[A, B], run=log))
        await backend.store.commit(step(theirs, put={"x": b"other"}, add=[A], run=log))
        file = sqlite3.connect(path)
        try:
            yield Place(backend, lease, file)
        finally:
            file.close()


async def other_is_unharmed(place: Place) -> None:
    store = place.backend.store
    assert await store.entries(OTHER) == {"x": b"other"}
    assert await store.get_chunks(OTHER, [A]) == {A: b"other"}
    assert (await store.get(OTHER)).doc == b"doc"
    assert [session.session_id for session in await store.list() if session.session_id == OTHER] == [OTHER]


async def test_nothing_that_is_stored_can_be_read(place: Place, tmp_path: Path) -> None:
    await place.backend.store.create(record(FORK, doc=b"a secret document"))
    file = (tmp_path / "store.db").read_bytes() + (tmp_path / "store.db-wal").read_bytes()
    for text in (BINARY[:64], b"aaaa", b"a secret document"):
        assert text not in file
    assert SID.encode() in file


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_damaged_entry_is_refused_and_the_others_are_told(place: Place, damage: str) -> None:
    place.put(ENTRY, DAMAGE[damage](place.read(ENTRY, SID, "x")), SID, "x")
    with pytest.raises(EntriesUnreadable, match="'x' was changed in the store") as refusal:
        await place.backend.store.entries(SID)
    assert refusal.value.problem.code == "state_unreadable"
    assert refusal.value.intact == {"y": b"why"}
    assert set(await place.backend.store.get_chunks(SID, [A, B])) == {A, B}
    await other_is_unharmed(place)
    await place.backend.store.commit(step(place.lease, 1, put={"x": b"new"}))
    assert await place.backend.store.entries(SID) == {"x": b"new", "y": b"why"}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_damaged_chunk_is_shown_as_empty_and_discarded_as_that(place: Place, damage: str) -> None:
    store = place.backend.store
    place.put(CHUNK, DAMAGE[damage](place.read(CHUNK, B)), B)
    assert await store.get_chunks(SID, [A, B]) == {A: b"aaaa", B: b""}
    await store.discard(SID, {A: b"", B: b"bbbb"})
    assert await store.missing(SID, [A, B]) == set()
    await store.discard(SID, {A: b"", B: b""})
    assert await store.missing(SID, [A, B]) == {B}
    await store.put_chunks(SID, {B: b"bbbb"})
    assert await store.get_chunks(SID, [A, B]) == {A: b"aaaa", B: b"bbbb"}
    await other_is_unharmed(place)


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_damaged_document_is_refused_and_can_be_deleted(place: Place, damage: str) -> None:
    place.put(DOC, DAMAGE[damage](place.read(DOC, SID)), SID)
    with pytest.raises(DocumentUnreadable, match="can be deleted") as refusal:
        await place.backend.store.get(SID)
    assert (refusal.value.owner, refusal.value.problem.code) == ("ada", "state_unreadable")
    await other_is_unharmed(place)
    assert [session.session_id for session in await place.backend.store.list()] == [OTHER]
    assert await place.backend.store.delete(SID)


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_damaged_log_of_a_run_is_refused(place: Place, damage: str) -> None:
    place.put(LOG, DAMAGE[damage](place.read(LOG, SID)), SID)
    with pytest.raises(Unreadable, match="run 'r' was changed"):
        await place.backend.store.get_run(SID, RUN)
    with pytest.raises(Unreadable):
        await place.backend.store.begin_run(place.lease, RUN, 1.0, 30)
    assert (await place.backend.store.get_run(OTHER, RUN)).log == b"log"


async def test_what_is_swapped_is_refused(place: Place) -> None:
    store = place.backend.store
    for what, one, another in ((ENTRY, (SID, "x"), (SID, "y")), (CHUNK, (A,), (B,))):
        first, second = place.read(what, *one), place.read(what, *another)
        place.put(what, second, *one)
        place.put(what, first, *another)
    with pytest.raises(EntriesUnreadable, match="'x', 'y' was changed"):
        await store.entries(SID)
    assert await store.get_chunks(SID, [A, B]) == {A: b"", B: b""}


async def test_what_another_session_wrote_is_refused(place: Place) -> None:
    store = place.backend.store
    place.put(ENTRY, place.read(ENTRY, OTHER, "x"), SID, "x")
    place.put(LOG, place.read(LOG, OTHER), SID)
    place.put(CHUNK, place.read(CHUNK.replace("min", "max"), A), A)
    with pytest.raises(EntriesUnreadable, match="'x'"):
        await store.entries(SID)
    assert await store.get_chunks(SID, [A, B]) == {A: b"", B: b"bbbb"}
    with pytest.raises(Unreadable):
        await store.get_run(SID, RUN)
    place.put(DOC, place.read(DOC, OTHER), SID)
    with pytest.raises(DocumentUnreadable, match="is that of another session or revision"):
        await store.get(SID)
    await other_is_unharmed(place)


async def test_the_document_of_another_revision_is_refused(place: Place) -> None:
    old = place.read(DOC, SID)
    await place.backend.store.commit(step(place.lease, 1, doc=b"later"))
    place.put(DOC, old, SID)
    with pytest.raises(DocumentUnreadable, match="another session or revision"):
        await place.backend.store.get(SID)


async def test_the_owner_and_the_revision_of_a_log_cannot_be_changed(place: Place) -> None:
    with place.file:
        place.file.execute("UPDATE sessions SET owner = 'eve' WHERE session_id = ?", [SID])
        place.file.execute("UPDATE runs SET revision = 7 WHERE session_id = ?", [SID])
    with pytest.raises(DocumentUnreadable, match="its owner was changed"):
        await place.backend.store.get(SID)
    assert await place.backend.store.list("eve") == []
    with pytest.raises(Unreadable):
        await place.backend.store.get_run(SID, RUN)


async def test_a_fork_reads_what_its_family_wrote_and_nobody_else(place: Place) -> None:
    store = place.backend.store
    assert await store.fork(SID, Revision(1), record(FORK, "bob"))
    assert await store.entries(FORK) == {"x": BINARY, "y": b"why"}
    assert await store.get_chunks(FORK, [A, B]) == {A: b"aaaa", B: b"bbbb"}
    assert (await store.get(FORK)).owner == "bob"
    place.put(DOC, place.read(DOC, SID), FORK)
    with pytest.raises(DocumentUnreadable):
        await store.get(FORK)
    place.put(ENTRY, place.read(ENTRY, OTHER, "x"), FORK, "x")
    with pytest.raises(Unreadable):
        await store.entries(FORK)
    assert (await store.entries(SID))["x"] == BINARY


async def test_a_damaged_revision_ends_the_past_that_is_shown(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    store = place.backend.store
    for revision in (1, 2, 3):
        await store.commit(step(place.lease, revision))
    which = "revisions SET doc = ? WHERE session_id = ? AND revision = ?"
    place.put(which, place.read(which, SID, "3"), SID, "2")
    with caplog.at_level(logging.WARNING):
        assert [kept.revision for kept in await store.revisions(SID)] == [3, 4]
    assert "revision 2 and those before are out of reach" in caplog.text
    place.put(which, b"forged", SID, "4")
    with pytest.raises(DocumentUnreadable):
        await store.revisions(SID)


async def test_a_namesake_made_elsewhere_is_not_taken_for_the_session_that_was_known(place: Place) -> None:
    here, elsewhere = place.backend.store, SealedStore(place.backend.store.inner, place.backend.store.keyring)
    assert (await here.entries(SID))["y"] == b"why"
    await elsewhere.delete(SID)
    await elsewhere.create(record())
    theirs = await elsewhere.acquire(SID, "pod-b", 30)
    await elsewhere.put_chunks(SID, {A: b"new"})
    run = RunRecord(RUN, True, Revision(1), b"new log")
    await elsewhere.commit(step(theirs, put={"y": b"new"}, add=[A], run=run))
    assert await here.entries(SID) == {"y": b"new"}
    assert await here.get_chunks(SID, [A]) == {A: b"new"}
    assert await here.get_run(SID, RUN) == run


async def test_another_broker_s_keys_open_nothing_and_the_refusal_names_the_key(place: Place) -> None:
    inner = place.backend.store.inner
    stranger = SealedStore(inner, Keyring({"mine": bytes(32)}))
    with pytest.raises(DocumentUnreadable, match="encrypted with key 'new', which this broker does not have"):
        await stranger.get(SID)
    assert await stranger.list() == []
    with pytest.raises(Unreadable):
        await stranger.entries(SID)
    namesake = SealedStore(inner, Keyring({"new": b"?" * 32}))
    with pytest.raises(DocumentUnreadable, match="with another key of the name 'new'"):
        await namesake.get(SID)


async def test_an_unencrypted_session_is_refused_unless_it_is_asked_for(place: Place) -> None:
    inner, keyring = place.backend.store.inner, Keyring({"new": bytes(range(32))}, accepts_unencrypted=True)
    await inner.create(record(FORK, doc=b"{}"))
    theirs = await inner.acquire(FORK, "pod-b", 30)
    await inner.put_chunks(FORK, {A: b"plain"})
    run = RunRecord(RUN, True, Revision(1), b"log")
    await inner.commit(step(theirs, put={"x": b"plain"}, add=[A], doc=b"{}", run=run))
    with pytest.raises(DocumentUnreadable, match="add 'unencrypted' to KERNEL_BROKER_ENCRYPTION_KEYS"):
        await place.backend.store.get(FORK)
    both = SealedStore(inner, keyring)
    assert await both.entries(FORK) == {"x": b"plain"} and await both.get_chunks(FORK, [A]) == {A: b"plain"}
    assert await both.get_run(FORK, RUN) == run
    theirs = await both.acquire(FORK, "pod-b", 30)
    await both.put_chunks(FORK, {B: b"more"})
    await both.commit(step(theirs, 1, put={"x": b"more"}, add=[B], doc=b"{1}"))
    assert await both.checkout(theirs, Revision(1), b"{2}", 1.0) == 3
    assert (await both.get(FORK)).doc == b"{2}" and await both.entries(FORK) == {"x": b"plain"}
    assert await both.get(SID) == replace(await both.get(SID), doc=b"doc")
    place.put(DOC, b"SIKD", SID)
    with pytest.raises(DocumentUnreadable):
        await both.get(SID)
