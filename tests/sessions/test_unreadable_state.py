"""A state that cannot be brought back is refused with a clear text, kept as it is, and hinders no restart."""

import sqlite3
from collections.abc import Callable

from fixtures.broker import Broker


def test_a_damaged_state_is_refused_and_a_restart_goes_on(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker()
    session_id = broker.create()
    broker.text(session_id, "x = 1")
    broker.stop()
    with sqlite3.connect(broker.home / "store.db") as database:
        changed = database.execute("UPDATE entries SET data = CAST(data || x'00' AS BLOB)").rowcount
    assert changed
    broker.start()
    for _ in range(2):
        answer = broker.execute(session_id, "x")
        assert (answer.status_code, answer.json()["code"]) == (500, "state_unreadable")
        assert "restart the session" in answer.json()["detail"]
    assert broker.call(session_id, "restart").status_code == 200
    assert broker.text(session_id, "y = 2; y") == "2"


def test_cells_inherit_pythonpath_and_the_usual_variables(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker()
    (broker.home / "lib").mkdir()
    (broker.home / "lib" / "mine.py").write_text("answer = 42")
    session_id = broker.create(env={"PYTHONPATH": str(broker.home / "lib")})
    assert broker.text(session_id, "import mine; mine.answer") == "42"
    code = "import os\n[n in os.environ for n in ('PATH', 'HOME', 'PYTHONHASHSEED', 'KERNEL_BROKER_PORT')]"
    assert broker.text(session_id, code) == "[True, True, False, False]"
