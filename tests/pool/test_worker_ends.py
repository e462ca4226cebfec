"""However a worker ends, what it started ends with it."""

import psutil
import pytest

from fixtures.broker import Broker


@pytest.mark.parametrize(
    "end", ["import os; os._exit(3)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
)
def test_processes_of_a_lost_worker_end_with_it(broker: Broker, end: str) -> None:
    session_id = broker.create()
    started = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid)"
    sleeper = psutil.Process(int(broker.text(session_id, started)))
    assert broker.execute(session_id, end).json()["code"] == "worker_lost"
    sleeper.wait(30)
