"""State that is encrypted at rest, end to end: what was changed is refused, nothing of it is unpickled."""

import base64
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from fixtures.broker import Broker
from fixtures.redis_server import RedisServer
from kernel_broker.errors import NotFound
from kernel_broker.sessions.document import SessionDocument
from kernel_broker.sessions.ownership import Caller, find_record
from kernel_broker.sessions.run import Request, Run
from kernel_broker.sessions.surroundings import SessionLimits, Surroundings
from kernel_broker.sessions.tenure import Tenure
from kernel_broker.store.contract import Commit, SessionRecord
from kernel_broker.store.keyring import Keyring
from kernel_broker.store.sealed import SealedStore
from kernel_broker.store.sqlite import SqliteStore
from kernel_broker.store.unreadable import DocumentUnreadable
from kernel_broker.wire.ids import Revision, RunId, SessionId
from kernel_broker.wire.pages import FileRecord, encode_page

SID = SessionId("s")

EVIL = """
class Evil:
    def __reduce__(self):
        return exec, ("import pathlib; pathlib.Path({0!r}).touch(); found = 'forged'", globals())
found = Evil()
"""


def keys(**named: int) -> str:
    """A list of keys, each made of one byte."""
    return ",".join(f"{name}:{base64.b64encode(bytes([byte]) * 32).decode()}" for name, byte in named.items())


def transplant(attacker: Broker, victim: Broker, theirs: str, mine: str) -> None:
    """Put all of one session's state in the place of another's, as who may write in both stores can."""
    with sqlite3.connect(victim.home / "store.db") as db:
        db.execute("ATTACH ? AS away", [str(attacker.home / "store.db")])
        (revision,) = db.execute(
            "SELECT revision FROM away.sessions WHERE session_id = ?", [theirs]
        ).fetchone()
        db.execute("DELETE FROM entries WHERE session_id = ?", [mine])
        db.execute(
            "INSERT INTO entries (session_id, name, since, data)"
            " SELECT ?, name, since, data FROM away.entries WHERE session_id = ? AND until IS NULL",
            [mine, theirs],
        )
        for table in ("sessions", "revisions"):
            db.execute(
                f"UPDATE {table} SET revision = ?, doc = (SELECT doc FROM away.sessions WHERE session_id = ?)"
                " WHERE session_id = ?"
                + (" AND revision = (SELECT max(revision) FROM revisions)" if table == "revisions" else ""),
                [revision, theirs, mine],
            )


def test_only_without_keys_can_a_writer_of_the_store_have_his_pickle_loaded(
    make_broker: Callable[..., Broker], tmp_path: Path
) -> None:
    proof = tmp_path / "proof"
    plain, encrypted = make_broker(), make_broker(encryption_keys=keys(test=1))
    theirs, other = plain.create(), encrypted.create()
    plain.execute(theirs, EVIL.format(str(proof)))
    encrypted.text(other, "x = 1")
    victims = {broker: broker.create() for broker in (plain, encrypted)}
    for broker, mine in victims.items():
        broker.text(mine, "found = 'mine'")
        broker.stop()
    proof.unlink(missing_ok=True)
    for broker, mine in victims.items():
        transplant(plain, broker, theirs, mine)

    plain.start().execute(victims[plain], "found")
    assert proof.exists()
    proof.unlink()
    mine = victims[encrypted]
    answer = encrypted.start().execute(mine, "found")
    assert (answer.status_code, answer.json()["code"]) == (500, "state_unreadable")
    assert "is stored without encryption" in answer.json()["detail"]
    assert not proof.exists()
    listed = encrypted.http.get("/v1/sessions").json()["sessions"]
    assert [session["session_id"] for session in listed] == [other]
    assert encrypted.text(other, "x") == "1"
    assert encrypted.http.delete(f"/v1/sessions/{mine}").status_code == 204


def test_a_damaged_entry_is_refused_and_a_restart_keeps_the_files(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(encryption_keys=keys(test=1), files="state")
    session_id, other = broker.create(), broker.create()
    broker.text(session_id, "x = 1; open('kept', 'w').write('text')")
    broker.text(other, "y = 2")
    broker.stop()
    with sqlite3.connect(broker.home / "store.db") as database:
        harm = (
            "UPDATE entries SET data = CAST(data || x'00' AS BLOB) WHERE session_id = ? AND name = 'manifest'"
        )
        assert database.execute(harm, [session_id]).rowcount
    broker.start()
    for _ in range(2):
        answer = broker.execute(session_id, "x")
        assert (answer.status_code, answer.json()["code"]) == (500, "state_unreadable")
        assert "'manifest' was changed in the store" in answer.json()["detail"]
    assert broker.http.get(f"/v1/sessions/{session_id}/variables").status_code == 500
    assert broker.text(other, "y") == "2"
    assert broker.call(session_id, "restart").status_code == 200
    assert broker.text(session_id, "open('kept').read()") == "'text'"


def test_keys_are_turned_over_and_never_reach_a_cell(
    make_broker: Callable[..., Broker], redis_server: RedisServer, tmp_path: Path
) -> None:
    def broker_with(text: str) -> Broker:
        (tmp_path / "keys").write_text(text)
        return make_broker(redis_server.url, encryption_keys_file=tmp_path / "keys")

    first = broker_with(keys(old=1))
    session_id = first.create()
    first.text(session_id, "x = 'a text that is looked for'")
    seen = "import os, sys; [n for n in os.environ if 'KEY' in n], 'cryptography' in sys.modules"
    assert first.text(session_id, seen) == "([], False)"
    first.stop()
    with redis_server.client() as client:
        stored = [client.dump(key) for key in client.keys("*")]
    assert stored and not any(b"looked for" in (value or b"") for value in stored)

    (tmp_path / "keys").write_text(keys(new=2, old=1))
    command = [sys.executable, "-m", "kernel_broker", "rekey"]
    told = subprocess.run(command, env=first.environment, capture_output=True, text=True, timeout=60)
    assert told.returncode == 0, told.stderr
    assert "1 session(s) brought under the first key" in told.stdout
    assert broker_with(keys(new=2)).text(session_id, "x") == "'a text that is looked for'"


def test_without_its_keys_a_broker_refuses_and_says_why(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(encryption_keys=keys(test=1))
    session_id = broker.create()
    broker.stop()
    del broker._settings["encryption_keys"]
    broker.start()
    answer = broker.http.get(f"/v1/sessions/{session_id}")
    assert (answer.status_code, answer.json()["code"]) == (500, "state_unreadable")
    assert "KERNEL_BROKER_ENCRYPTION_KEYS is not set" in answer.json()["detail"]
    assert broker.http.get("/v1/sessions").json()["sessions"] == []
    plain = broker.create()
    assert broker.text(plain, "1") == "1"


@pytest.mark.parametrize(
    ("setting", "arguments", "told"),
    [
        (
            {"ENCRYPTION_KEYS": "mine:c2hvcnQ="},
            [],
            "ENCRYPTION_KEYS: key 'mine' is not the base64 of 32 bytes",
        ),
        ({"ENCRYPTION_KEYS_FILE": "/nowhere"}, [], "ENCRYPTION_KEYS_FILE cannot be read"),
        ({"ENCRYPTION_KEYS_FILE": os.devnull}, [], "ENCRYPTION_KEYS_FILE is empty"),
        ({}, ["rekey"], "ENCRYPTION_KEYS names no key"),
    ],
)
def test_keys_that_cannot_be_used_end_the_broker_at_once(
    setting: dict[str, str], arguments: list[str], told: str
) -> None:
    environment = os.environ | {f"KERNEL_BROKER_{name}": value for name, value in setting.items()}
    command = [sys.executable, "-m", "kernel_broker", *arguments]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1 and told in ended.stderr and "c2hvcnQ" not in ended.stderr


async def test_a_session_that_cannot_be_read_is_told_to_its_owner_alone() -> None:
    inner = SqliteStore(None)
    await inner.open()
    try:
        record = SessionRecord(SID, "ada", Revision(0), 1.0, 1.0, 100.0, b"{}")
        await SealedStore(inner, Keyring({"here": bytes(32)})).create(record)
        elsewhere = SealedStore(inner, Keyring({"there": bytes(32)}))
        with pytest.raises(DocumentUnreadable, match="key 'here'"):
            await find_record(elsewhere, Caller("ada"), record.session_id)
        with pytest.raises(NotFound, match="no session 's'"):
            await find_record(elsewhere, Caller("bob"), record.session_id)
    finally:
        await inner.close()


@pytest.mark.parametrize(("damaged", "left"), [("graph", {"files/0", "files/1"}), ("files/0", set())])
async def test_a_restart_takes_the_files_along_that_make_sense_without_what_is_damaged(
    tmp_path: Path, damaged: str, left: set[str]
) -> None:
    store = SealedStore(SqliteStore(tmp_path / "store.db"), Keyring({"here": bytes(32)}))
    await store.open()
    try:
        document = SessionDocument(files="state")
        await store.create(SessionRecord(SID, "ada", Revision(0), 1.0, 1.0, 100.0, document.to_bytes()))
        record = await store.get(SID)
        assert record is not None
        around = Surroundings(store, cast(Any, None), "pod", SessionLimits(), lambda: 1.0, cast(Any, None))
        tenure = Tenure(record, around)
        run = Run(SID, RunId("restart"), Request("control", "", {"msg_id": ""}, {}))
        lease = await tenure.hold(run)
        pages = {
            "files/0": encode_page([FileRecord("a", "folder", 0o755, 1)]),
            "files/1": encode_page([FileRecord("a/b", "file", 0o644, 1)]),
        }
        await store.commit(Commit(lease, Revision(0), 1.0, document.to_bytes(), pages | {"graph": b"1"}))
        with sqlite3.connect(tmp_path / "store.db") as database:
            harm = "UPDATE entries SET data = CAST(data || x'00' AS BLOB) WHERE name = ?"
            assert database.execute(harm, [damaged]).rowcount
        await tenure.reset(run)
        assert set(await store.entries(SID)) == left
    finally:
        await store.close()
