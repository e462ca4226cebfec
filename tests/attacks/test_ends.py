"""What a session has started, taken or broken is its own, and ends with it."""

import threading
from pathlib import Path

import psutil

from attacks.neighbours import Neighbours

_HIDE = """
reading, writing = os.pipe()
if (pid := os.fork()) == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(writing, str(os.getpid()).encode())
        signal.pause()
    os._exit(0)
os.waitpid(pid, 0)
print(os.read(reading, 20).decode())
"""


def end(neighbours: Neighbours, session: str) -> None:
    neighbours.broker.http.delete(f"/v1/sessions/{session}").raise_for_status()


def test_a_process_that_hides_ends_with_its_session(neighbours: Neighbours) -> None:
    session = neighbours.attacker()
    hidden = psutil.Process(int(neighbours.broker.text(session, _HIDE)))
    assert hidden.status() == psutil.STATUS_SLEEPING
    end(neighbours, session)
    hidden.wait(20)
    neighbours.check()


def test_all_folders_of_a_worker_go_with_it(neighbours: Neighbours) -> None:
    session = neighbours.attacker()
    said = neighbours.broker.text(
        session, "print(os.getcwd(), os.environ['HOME'], os.environ['TMPDIR'])"
    ).split()
    folders = [Path(path) for path in said]
    assert all(folder.is_dir() and folder.stat().st_mode & 0o777 == 0o700 for folder in folders)
    worker = psutil.Process(int(neighbours.broker.text(session, "print(os.getpid())")))
    end(neighbours, session)
    worker.wait(20)
    base = folders[1].parent
    for _ in range(500):
        if not any(folder.exists() for folder in folders):
            break
        threading.Event().wait(0.02)
    left = {path.name for path in base.iterdir()}
    assert not left & {folder.name for folder in folders}
    neighbours.check()


def test_a_cell_that_computes_for_ever_is_stopped_and_starves_nobody(neighbours: Neighbours) -> None:
    session = neighbours.attacker()
    answers = []

    def hog() -> None:
        answers.append(neighbours.broker.execute(session, "while True: pass", timeout=1).json())

    thread = threading.Thread(target=hog)
    thread.start()
    neighbours.check()
    thread.join()
    assert answers[0]["code"] == "cell_timeout"
    end(neighbours, session)


def test_a_worker_that_is_turned_against_the_broker_is_ended(neighbours: Neighbours) -> None:
    """It replaces what hosts it, in its own process; nothing of that is in anybody else's."""
    session = neighbours.attacker()
    code = (
        "import gc; from kernel_broker.worker.worker import Worker\n"
        "mine = next(it for it in gc.get_objects() if isinstance(it, Worker))\n"
        "for name, module in list(sys.modules.items()):\n"
        "    if name.startswith('kernel_broker.worker.sandbox'): vars(module).clear()\n"
        "import socket as s\n"
        "for number in os.listdir('/proc/self/fd'):\n"
        "    try: os.write(int(number), b'\\xff' * 64) if int(number) > 2 else None\n"
        "    except OSError: pass\n"
    )
    assert neighbours.broker.execute(session, code).json()["code"] == "worker_lost"
    assert neighbours.broker.text(session, "1 + 1") == "2"
    end(neighbours, session)
    neighbours.check()
