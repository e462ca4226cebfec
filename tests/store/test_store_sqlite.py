"""What is particular to the embedded store: its file, its lock, its death."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kernel_broker.store.contract import Commit, SessionRecord, StoreUnavailable
from kernel_broker.store.sqlite import SqliteStore
from kernel_broker.wire.ids import ChunkId, Revision, RunId, SessionId

SID = SessionId("s")
COMMITTER = [sys.executable, str(Path(__file__).with_name("committer.py"))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "store.db"


def record(session_id: SessionId = SID) -> SessionRecord:
    return SessionRecord(session_id, "ada", Revision(0), 1.0, 1.0, 3600.0, b"doc")


def fill(path: Path, statement: str) -> None:
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def state_is_whole(store: SqliteStore) -> int:
    """The head revision, when everything that belongs to it is there and nothing else."""
    session = await store.get(SID)
    text = b"%d" % session.revision
    assert session.doc == text
    assert await store.entries(SID) == {"a": text, "b": text * 1000}
    chunk_id = ChunkId(f"c{session.revision}")
    assert await store.get_chunks(SID, [chunk_id]) == {chunk_id: text * 50_000}
    assert (await store.get_run(SID, RunId(f"r{session.revision}"))).finished
    return session.revision


async def test_what_was_acknowledged_survives_kill_9_and_nothing_else_is_there(path):
    committer = subprocess.Popen([*COMMITTER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for revision in range(1, 21):
        committer.stdin.write(b"\n")
        committer.stdin.flush()
        assert int(committer.stdout.readline()) == revision
    committer.kill()
    committer.communicate()
    store = SqliteStore(path)
    await store.open()
    assert await state_is_whole(store) == 20
    await store.close()


@pytest.mark.parametrize("after", [1, 7, 40])
async def test_a_kill_9_in_the_middle_leaves_one_revision_or_the_next_whole(path, after):
    committer = subprocess.Popen([*COMMITTER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    committer.stdin.write(b"\n" * 9_000)
    committer.stdin.flush()
    for _ in range(after):
        committer.stdout.readline()
    committer.kill()
    rest, _ = committer.communicate()
    acknowledged = int(rest.split()[-1]) if rest.split() else after
    store = SqliteStore(path)
    await store.open()
    assert await state_is_whole(store) in {acknowledged, acknowledged + 1}
    await store.close()


async def test_the_leases_of_a_dead_broker_do_not_block(path):
    committer = subprocess.Popen([*COMMITTER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    committer.stdin.write(b"\n")
    committer.stdin.flush()
    committer.stdout.readline()
    committer.kill()
    committer.communicate()
    store = SqliteStore(path)
    await store.open()
    lease = await store.acquire(SID, "alive", 30)
    assert await store.commit(Commit(lease, Revision(1), 2.0, b"")) == 2
    await store.close()


async def test_a_second_broker_is_refused_until_the_first_is_gone(path):
    first, second = SqliteStore(path), SqliteStore(path)
    await first.open()
    with pytest.raises(StoreUnavailable, match=rf"process {os.getpid()}.*KERNEL_BROKER_STORE_URL"):
        await second.open()
    await first.create(record())
    await first.close()
    await second.open()
    assert await second.get(SID) == record()
    await second.close()


async def test_a_second_process_is_refused(path):
    store = SqliteStore(path)
    await store.open()
    second = subprocess.run([*COMMITTER, path], input=b"", capture_output=True, check=False)
    assert second.returncode != 0
    assert b"belongs to a running broker" in second.stderr
    await store.close()


async def test_only_its_user_can_read_it(path):
    umask = os.umask(0)
    try:
        store = SqliteStore(path)
        await store.open()
        await store.create(record())
        assert mode(path.parent) == 0o700
        files = list(path.parent.iterdir())
        assert {file.name for file in files} == {f"store.db{end}" for end in ("", "-wal", "-shm", ".lock")}
        assert {mode(file) for file in files} == {0o600}
        await store.close()
    finally:
        os.umask(umask)


async def test_a_file_that_others_could_read_is_closed_to_them(path):
    path.parent.mkdir()
    path.touch(0o644)
    store = SqliteStore(path)
    await store.open()
    assert mode(path) == 0o600
    await store.close()


async def test_a_newer_schema_is_refused_and_left_alone(path):
    store = SqliteStore(path)
    await store.open()
    await store.close()
    fill(path, "PRAGMA user_version = 999")
    with pytest.raises(StoreUnavailable, match=r"schema 999.*Upgrade"):
        await store.open()
    fill(path, "PRAGMA user_version = 2")
    await store.open()  # the refusal left neither lock nor thread
    await store.close()


async def test_a_file_that_is_no_database(path):
    path.parent.mkdir()
    path.write_bytes(b"not a database at all\n" * 1000)
    with pytest.raises(StoreUnavailable, match="not a database"):
        await SqliteStore(path).open()
    assert path.read_bytes().startswith(b"not a database")


async def test_a_damaged_file_is_told_from_others(path):
    store = SqliteStore(path)
    await store.open()
    for number in range(200):
        await store.create(record(SessionId(f"s{number}")))
    await store.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(StoreUnavailable, match="damaged"):
        await store.open()
        await store.list()
    await store.close()


async def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match=r"Check the directory"):
        await SqliteStore(tmp_path / "file" / "store.db").open()


async def test_a_full_disk_changes_nothing_and_later_works_again(path):
    store = SqliteStore(path)
    await store.open()
    await store.create(record())
    lease = await store.acquire(SID, "pod", 30)
    step = Commit(lease, Revision(0), 2.0, b"doc", put={"x": b"x" * 3_000_000})
    store._db.execute("PRAGMA max_page_count = 100")  # SQLite's own way to say where the disk ends
    with pytest.raises(StoreUnavailable, match="disk is full"):
        await store.commit(step)
    assert await store.entries(SID) == {}
    store._db.execute("PRAGMA max_page_count = 1000000")
    assert await store.commit(step) == 1
    await store.close()


async def test_a_file_that_can_only_be_read(path):
    store = SqliteStore(path)
    await store.open()
    store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        await store.ping()
    await store.close()


async def test_a_value_too_large_for_sqlite_says_so(path):
    store = SqliteStore(path)
    await store.open()
    store._db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1000)
    with pytest.raises(StoreUnavailable, match="larger than"):
        await store.create(SessionRecord(SID, "ada", Revision(0), 1.0, 1.0, 3600.0, b"x" * 2000))
    await store.close()


async def test_the_file_shrinks_again(path):
    store = SqliteStore(path)
    await store.open()
    await store.create(record())
    await store.put_chunks(SID, {ChunkId(f"c{number}"): os.urandom(1 << 20) for number in range(32)})
    await store.delete(SID)
    await store.collect(2.0, 60)
    await store.close()
    assert path.stat().st_size < 8 << 20
    assert [file.name for file in path.parent.iterdir() if file.name.endswith("-wal")] == []


async def test_opening_and_closing_leaves_no_descriptor_and_no_thread(path):
    def held() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    store = SqliteStore(path)
    await store.open()
    await store.close()
    before = held()
    for _ in range(5):
        await store.open()
        await store.create(record())
        with pytest.raises(StoreUnavailable):
            await SqliteStore(path).open()
        await store.close()
    assert held() == before


async def test_ten_thousand_sessions(path):
    store = SqliteStore(path)
    await store.open()
    await store.close()
    db = sqlite3.connect(path)
    db.executemany(
        "INSERT INTO sessions VALUES (?, 'ada', 3, 1, ?, 3600, x'00', 0, 9e9, 7, NULL, 0, 0, NULL, 1, 0)",
        [(f"s{number}", number) for number in range(10_000)],
    )
    db.commit()
    db.close()
    await store.open()
    assert len(await store.list("ada")) == 10_000
    lease = await store.acquire(SessionId("s77"), "pod", 30)
    assert await store.commit(Commit(lease, Revision(3), 2.0, b"")) == 4
    assert await store.collect(2.0, 60) == 0
    await store.close()
