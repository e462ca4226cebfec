"""A restart of a session with files takes two commits; one that is cut off between them is completed."""

import json
from collections.abc import Callable
from pathlib import Path

from fixtures.broker import Broker
from kernel_broker.store.open import open_store
from kernel_broker.wire.ids import SessionId


async def _half_a_restart(url: str, session_id: SessionId) -> None:
    """What a broker that is killed after the first commit leaves behind."""
    store = open_store(url)
    await store.open()
    record = await store.get(session_id)
    assert record is not None
    entries = await store.entries(session_id)
    document = json.loads(record.doc)
    document["carried"] = {name: data.decode() for name, data in entries.items() if name.startswith("files/")}
    assert document["carried"]
    lease = await store.acquire(session_id, "a broker that dies", 1.0)
    await store.reset(lease, json.dumps(document).encode(), record.last_activity)
    await store.release(lease)
    await store.close()


async def test_a_restart_that_was_cut_off_keeps_the_files(
    make_broker: Callable[..., Broker], tmp_path: Path
) -> None:
    broker = make_broker(files="state", files_dir=tmp_path / "folders")
    session = SessionId(broker.create())
    broker.text(session, "x = 1; open('f', 'w').write('kept') and None")
    broker.stop()
    await _half_a_restart(f"sqlite:///{broker.home}/store.db", session)
    broker.start()
    assert broker.http.get(f"/v1/sessions/{session}/files/f").content == b"kept"
    assert broker.text(session, "print('x' in dir(), open('f').read())") == "False kept\n"
    broker.call(session, "evict")
    assert broker.text(session, "print(open('f').read())") == "kept\n"
