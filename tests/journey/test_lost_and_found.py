"""What cannot move with a session is named when it is made and when it is missed; nothing else is harmed."""

from pathlib import Path
from typing import Any

import pytest

from fixtures.broker import Broker

LOST = {
    "generator": ("lost = (n for n in range(9)); next(lost)", "generator", "next(lost)"),
    "thread": (
        "import threading\nlost = threading.Thread(target=threading.Event().wait, daemon=True)\nlost.start()",
        "threading.Thread",
        "lost.is_alive()",
    ),
    "socket": (
        "import socket\nlost = socket.create_server(('', 0))",
        "socket.socket",
        "lost.getsockname()[0]",
    ),
    "database": (
        "import sqlite3\nlost = sqlite3.connect(':memory:')",
        "sqlite3.Connection",
        "lost.in_transaction",
    ),
}


@pytest.fixture
def session(broker: Broker, tmp_path: Path) -> str:
    """A session in a folder of its own, with one cell behind it."""
    session_id = broker.create(cwd=str(tmp_path))
    broker.text(session_id, "kept = {'n': [1]}; alias = kept['n']")
    return session_id


def pins(broker: Broker, session_id: str) -> list[Any]:
    pinned = broker.http.get(f"/v1/sessions/{session_id}").json()["pinned"]
    return [(pin["name"], pin["type"], pin["cell"]) for pin in pinned]


@pytest.mark.parametrize(("made", "kind", "use"), LOST.values(), ids=LOST)
def test_it_is_named_when_made_and_when_missed(
    broker: Broker, session: str, made: str, kind: str, use: str
) -> None:
    answer = broker.execute(session, made).json()
    assert answer["status"] == "ok"
    (notice,) = answer["notices"]
    assert notice.startswith(f"Serverless Python: 'lost' ({kind}) cannot be saved with the session: ")
    shown = [output for output in answer["outputs"] if output.get("metadata") == {"serverless_notice": True}]
    expected = [] if kind.startswith("threading.") else [notice]  # cells that start threads stay silent
    assert [output["data"]["text/plain"] for output in shown] == expected
    assert pins(broker, session) == [("lost", kind, 2)]

    again = broker.execute(session, use).json()
    assert (again["status"], again["notices"]) == ("ok", [])  # it works on, and was mentioned once

    broker.call(session, "evict")
    error = broker.execute(session, use).json()["error"]
    assert error["ename"] == "StateLost"
    assert error["evalue"].startswith(f"'lost': {kind} made in cell [2] ")
    assert error["evalue"].endswith("; re-run cell 2")
    assert broker.text(session, "alias.append(2); kept") == "{'n': [1, 2]}"
    assert pins(broker, session) == []  # there is nothing left that a move could harm


@pytest.mark.parametrize(("made", "kind", "use"), LOST.values(), ids=LOST)
def test_deleted_before_the_move_it_is_not_missed(
    broker: Broker, session: str, made: str, kind: str, use: str
) -> None:
    broker.execute(session, made)
    broker.execute(session, "del lost")
    assert pins(broker, session) == []
    broker.call(session, "evict")
    assert broker.execute(session, use).json()["error"]["ename"] == "NameError"


def test_made_again_it_works_again(broker: Broker, session: str) -> None:
    broker.execute(session, "lost = (n for n in 'abc'); next(lost)")
    broker.call(session, "evict")
    assert broker.text(session, "lost = iter('abc'); next(lost)") == "'a'"
    assert pins(broker, session) == []
    broker.call(session, "evict")
    assert broker.text(session, "next(lost)") == "'b'"


def test_only_the_lost_part_of_an_object_is_lost(broker: Broker, session: str) -> None:
    broker.execute(
        session, "class Job: pass\njob = Job(); job.name = 'nightly'; job.rows = (n for n in 'ab')"
    )
    assert pins(broker, session) == [("job", "generator", 2)]
    broker.call(session, "evict")
    assert broker.text(session, "job.name") == "'nightly'"
    error = broker.execute(session, "list(job.rows)").json()["error"]
    assert (error["ename"], "'job': generator made in cell [2]" in error["evalue"]) == ("StateLost", True)


def test_an_open_file_goes_on_at_its_position(broker: Broker, session: str) -> None:
    made = "f = open('t.txt', 'w+'); f.write('one two'); f.seek(4)"
    answer = broker.execute(session, made).json()
    assert (answer["notices"], pins(broker, session)) == ([], [])
    broker.call(session, "evict")
    assert broker.text(session, "f.read(), f.write(' three')") == "('two', 6)"
    broker.call(session, "evict")
    assert broker.text(session, "_ = f.seek(0); f.read()") == "'one two three'"


def test_a_file_that_is_gone_is_lost(broker: Broker, session: str, tmp_path: Path) -> None:
    broker.execute(session, "f = open('t.txt', 'w'); f.write('gone')")
    broker.call(session, "evict")
    (tmp_path / "t.txt").unlink()
    error = broker.execute(session, "f.write('more')").json()["error"]
    assert (error["ename"], "'f': " in error["evalue"]) == ("StateLost", True)
    assert broker.text(session, "kept") == "{'n': [1]}"
