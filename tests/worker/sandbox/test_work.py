"""What people do in notebooks goes on in a strict sandbox."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.broker import Broker

_CELLS = {
    "a table": "import pandas as pd\npd.DataFrame({'a': [1, 2]}).to_csv('t.csv')\nprint(len(pd.read_csv('t.csv')))",
    "a plot": "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.savefig('p.png'); plt.close()\n"
    "import os; print(2 if os.path.getsize('p.png') > 1000 else 0)",
    "a program": "import subprocess\nprint(subprocess.run(['echo', '2'], capture_output=True, text=True).stdout)",
    "a Python": "import subprocess, sys\n"
    "print(subprocess.run([sys.executable, '-c', 'import numpy; print(1 + 1)'], "
    "capture_output=True, text=True, check=True).stdout)",
    "threads": "from concurrent.futures import ThreadPoolExecutor\n"
    "with ThreadPoolExecutor() as pool: print(sum(pool.map(abs, [-1, 1])))",
    "processes": "from multiprocessing import Pool\nwith Pool(2) as pool: print(sum(pool.map(abs, [-1, 1])))",
    "an executor": "from concurrent.futures import ProcessPoolExecutor\n"
    "with ProcessPoolExecutor(2) as pool: print(sum(pool.map(abs, [-1, 1])))",
    "a queue": "from multiprocessing import Process, Queue\nq = Queue()\n"
    "p = Process(target=q.put, args=(2,)); p.start(); print(q.get()); p.join()",
    "a manager": "from multiprocessing import Manager\n"
    "with Manager() as manager:\n  d = manager.dict(); d['a'] = 2; print(d['a'])",
    "shared memory": "from multiprocessing.shared_memory import SharedMemory\n"
    "one = SharedMemory(create=True, size=8); other = SharedMemory(one.name); one.buf[0] = 2\n"
    "print(other.buf[0]); other.close(); one.close(); one.unlink()",
    "a shared array": "from multiprocessing import Array\na = Array('i', [2]); print(a[0])",
    "a lock": "from multiprocessing import Lock, Process\nlock = Lock()\n"
    "def held(): lock.acquire()\np = Process(target=held); p.start(); p.join(); print(0 if lock.acquire(False) else 2)",
    "bash": "%%bash\ncat <(echo 2)",
    "a command": "!echo 2",
    "the output of a command": "x = !echo 2\nprint(x.n)",
    "a temporary file": "import tempfile\nwith tempfile.NamedTemporaryFile('w+') as f: print(2, file=f, flush=True); "
    "print(open(f.name).read())",
    "a progress bar": "from tqdm import tqdm\nprint(sum(1 for _ in tqdm(range(2))))",
    "a widget": "import ipywidgets\nprint(ipywidgets.IntSlider(value=2).value)",
    "dill": "import dill\nprint(dill.loads(dill.dumps(lambda: 2))())",
    "the event loop": "import asyncio\nawait asyncio.sleep(0)\nprint(2)",
    "random numbers": "import os, secrets\nprint(len(os.urandom(1) + secrets.token_bytes(1)))",
    "a database": "import sqlite3\nprint(sqlite3.connect('d.db').execute('select 2').fetchone()[0])",
    "the machine": "import psutil\nprint(2 if psutil.virtual_memory().total and psutil.cpu_percent() >= 0 else 0)",
    "time zones": "from zoneinfo import ZoneInfo\nprint(2 if ZoneInfo('Europe/Berlin').key else 0)",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "set.csv"
    path.write_text("2")
    return path


@pytest.fixture(scope="module")
def shut_in(data: Path) -> Iterator[Broker]:
    preload = "numpy,pandas,matplotlib.pyplot"
    broker = Broker(files="state", spares=1, preload=preload, sandbox_read=data.parent).start()
    yield broker
    broker.destroy()


@pytest.fixture(scope="module")
def session(shut_in: Broker) -> str:
    return shut_in.create()


@pytest.mark.parametrize("code", _CELLS.values(), ids=_CELLS)
def test_a_cell_works(shut_in: Broker, session: str, code: str) -> None:
    result = shut_in.execute(session, code).json()
    assert result.get("status") == "ok", result
    said = "".join(output["text"] for output in result["outputs"] if output.get("name") == "stdout")
    assert said.strip() == "2"


def test_a_command_is_interrupted(shut_in: Broker, session: str) -> None:
    assert shut_in.execute(session, "!echo begun; sleep 60", timeout=1).json()["code"] == "cell_timeout"
    assert shut_in.text(session, "print(_exit_code)") == "-2\n"


def test_its_state_and_files_move(shut_in: Broker) -> None:
    session = shut_in.create()
    shut_in.text(
        session, "import os\nx = [1]; open('f', 'w').write('kept'); os.environ['MINE'] = 'too'; None"
    )
    home = shut_in.text(session, "print(os.environ['HOME'])")
    shut_in.call(session, "evict")
    assert shut_in.text(session, "print(x, open('f').read(), os.environ['MINE'])") == "[1] kept too\n"
    assert shut_in.text(session, "print(os.environ['HOME'])") != home


def test_what_is_lost_is_made_again(shut_in: Broker) -> None:
    """It is rehearsed in a child, which sees less of itself than elsewhere."""
    session = shut_in.create(recompute=True)
    shut_in.text(session, "import sqlite3; db = sqlite3.connect(':memory:'); db.execute('select 1'); None")
    shut_in.call(session, "evict")
    assert "2\n" in shut_in.text(session, "print(db.execute('select 2').fetchone()[0])")


def test_paths_that_are_opened_to_all_can_be_read(shut_in: Broker, session: str, data: Path) -> None:
    assert shut_in.text(session, f"print(open('{data}').read())") == "2\n"
    refused = shut_in.execute(session, f"open('{data}', 'w')").json()
    assert refused["error"]["ename"] == "PermissionError"
