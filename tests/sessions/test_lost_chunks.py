"""A store that has lost bytes, end to end: what needs them is lost, told, and can be had again."""

import base64
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from fixtures.broker import Broker

ROWS = "rows = [{'n': n, 'text': str(n) * 5} for n in range(3000)]"
LATE = "import numpy as np; late = np.arange(400_000)"


@dataclass
class Place:
    """A broker, and a hand in its store."""

    broker: Broker
    way: str
    server: redis.Redis | None

    def chunks(self) -> set[str]:
        if self.server is not None:
            return {key.decode() for key in self.server.keys("*:chunk:*")}
        with sqlite3.connect(self.broker.home / "store.db") as database:
            return {number for (number,) in database.execute("SELECT number FROM chunk_data")}

    def harm(self, names: set[str]) -> None:
        assert names
        if self.server is None:
            with sqlite3.connect(self.broker.home / "store.db") as database:
                self._harm_rows(database, names)
            return
        for name in names:
            data = self.server.get(name)
            assert isinstance(data, bytes)
            if self.way == "missing":
                self.server.delete(name)
            else:
                self.server.set(name, data[:-1] + bytes([data[-1] ^ 1]), keepttl=True)

    def _harm_rows(self, database: sqlite3.Connection, names: set[str]) -> None:
        for number in names:
            (data,) = database.execute("SELECT data FROM chunk_data WHERE number = ?", [number]).fetchone()
            if self.way == "missing":
                database.execute("DELETE FROM chunk_data WHERE number = ?", [number])
            else:
                worse = data[:-1] + bytes([data[-1] ^ 1])
                database.execute("UPDATE chunk_data SET data = ? WHERE number = ?", [worse, number])


@pytest.fixture(
    params=["sqlite-damaged", "sqlite-missing", "redis-damaged", "redis-missing", "sealed-damaged"]
)
def place(request: pytest.FixtureRequest, make_broker: Callable[..., Broker]) -> Place:
    store, _, way = request.param.partition("-")
    if store == "sqlite":
        return Place(make_broker(preload="numpy"), way, None)
    server = request.getfixturevalue("redis_server")
    keys = {"encryption_keys": f"test:{base64.b64encode(bytes(32)).decode()}"} if store == "sealed" else {}
    return Place(make_broker(server.url, preload="numpy", **keys), way, server.client())


def said(answer: dict[str, Any]) -> str:
    return "".join(output.get("text", "") for output in answer["outputs"])


def test_what_is_lost_costs_itself_and_running_its_cell_again_brings_it_back(place: Place) -> None:
    broker = place.broker
    session_id = broker.create()
    broker.text(session_id, "keep = [1]; also = keep")
    before = place.chunks()
    broker.text(session_id, f"{LATE}; {ROWS}")
    broker.call(session_id, "evict")
    place.harm(place.chunks() - before)

    first = broker.execute(session_id, "keep.append(2); print(keep, also is keep)").json()
    assert first["status"] == "ok" and said(first) == "[1, 2] True\n"
    (notice,) = first["notices"]
    assert "'rows' (list) has a part that is" in notice and "%checkout N" in notice
    second = broker.execute(session_id, "late.sum()").json()
    assert second["error"]["ename"] == "StateLost" and place.way in second["error"]["evalue"]
    assert "'late' (numpy.ndarray)" in second["notices"][0]
    broker.call(session_id, "evict")

    lost = broker.execute(session_id, "len(rows)").json()
    assert lost["error"]["evalue"].endswith("re-run cell 2") and not lost["notices"]
    broker.text(session_id, f"{LATE}; {ROWS}")
    broker.call(session_id, "evict")
    shown = broker.text(session_id, "print(keep, len(rows), rows[-1]['n'], int(late.sum()))")
    assert shown == "[1, 2] 3000 2999 79999800000\n"


def test_a_revision_before_the_damage_is_whole(place: Place) -> None:
    broker = place.broker
    session_id = broker.create()
    broker.text(session_id, "keep = 1")
    then = broker.execute(session_id, f"{LATE}; {ROWS}").json()["revision"]
    before = place.chunks()
    broker.text(session_id, "late[0] = 5; rows[0] = None")
    broker.call(session_id, "evict")
    place.harm(place.chunks() - before)

    lost = broker.execute(session_id, "print(keep); len(rows) + late.sum()").json()
    assert said(lost) == "1\n" and lost["error"]["ename"] == "StateLost"
    answer = broker.http.post(f"/v1/sessions/{session_id}/checkout", json={"revision": then})
    assert answer.status_code == 200, answer.text
    assert broker.text(session_id, "print(len(rows), rows[0]['n'], late[0])") == "3000 0 0\n"
