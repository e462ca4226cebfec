"""ipykernel's own protocol tests, run on our kernel: message spec, kernel, async, debugger."""

import os
import re
import sys
from pathlib import Path

import pytest

from fixtures.broker import Broker
from fixtures.ipykernel_sdist import fetch, run

pytestmark = pytest.mark.conformance


@pytest.mark.timeout(600)
def test_ipykernels_own_tests_pass(
    shared_broker: Broker, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    cache = pytestconfig.cache
    source = fetch(tmp_path if cache is None else cache.mkdir("ipykernel-sdist"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = run(source, {**os.environ, "PATH": path, "SERVERLESS_KERNEL_URL": shared_broker.url})
    assert done.returncode == 0, done.stdout[-8000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) >= 60, done.stdout[-1000:]


def test_the_notices_left_out_are_those_of_threads_and_processes() -> None:
    from kernel_manager.bridge.notices import is_everyday

    def notice(kind: str, session: str = "") -> dict[str, object]:
        text = f"Serverless Python: 'x' ({kind}) cannot be saved with the session: it lives here."
        return {"msg_type": "stream", "header": {"session": session}, "content": {"text": text}}

    for kind in ("threading.Thread", "_thread.lock", "multiprocessing.context.Process", "_asyncio.Task"):
        assert is_everyday(notice(kind))
        assert not is_everyday(notice(kind, session="a cell printed it"))
    for kind in ("generator", "sqlite3.Connection", "socket.socket"):
        assert not is_everyday(notice(kind))
