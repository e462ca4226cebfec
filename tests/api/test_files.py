"""A session's working files over HTTP, on a real broker: the folder travels, and is reached from outside."""

import os
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from fixtures.broker import Broker
from fixtures.redis_server import RedisServer

CHUNK = 2**20


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker as it runs in a pod."""
    folders = tmp_path_factory.mktemp("pod") / "folders"
    broker = Broker(preload="", spares=1, files="state", files_dir=folders, file_bytes=8 * CHUNK)
    yield broker.start()
    broker.destroy()


def _url(session_id: str, path: str | bytes = "") -> str:
    return f"/v1/sessions/{session_id}/files/{quote(path)}"


def _listed(broker: Broker, session_id: str) -> dict[str, dict[str, object]]:
    answer = broker.http.get(f"/v1/sessions/{session_id}/files")
    assert answer.status_code == 200, answer.text
    return {item["path"]: item for item in answer.json()["files"]}


def test_files_of_a_cell_are_there_for_the_next_wherever_it_runs(pod: Broker) -> None:
    session = pod.create()
    code = "import os; os.makedirs('out/empty'); open('out/a.bin', 'wb').write(b'x' * 3_000_000)\n"
    code += "os.chmod('out/a.bin', 0o600); os.symlink('a.bin', 'out/link'); print(os.getcwd())"
    here = pod.text(session, code).strip()
    pod.call(session, "evict")
    assert not Path(here).exists()
    assert pod.text(session, "print(os.getcwd())").strip() == here
    assert pod.text(session, "print(os.path.getsize('out/link'), oct(os.stat('out/a.bin').st_mode))") == (
        "3000000 0o100600\n"
    )
    assert pod.text(session, "print(sorted(os.listdir('out')))") == "['a.bin', 'empty', 'link']\n"


def test_a_folder_ends_with_its_worker(pod: Broker) -> None:
    session = pod.create()
    here = Path(pod.text(session, "import os; open('f', 'w').write('kept'); print(os.getcwd())").strip())
    assert here.stat().st_mode & 0o777 == 0o700
    lost = pod.execute(session, "os.kill(os.getpid(), 9)").json()
    assert lost["code"] == "worker_lost"
    pod.call(session, "evict")
    assert not here.exists()
    assert pod.text(session, "print(open('f').read())") == "kept\n"
    pod.http.delete(f"/v1/sessions/{session}")
    assert not here.exists()


def test_a_restart_keeps_the_files(pod: Broker) -> None:
    session = pod.create()
    data = os.urandom(CHUNK + 3)
    pod.http.put(_url(session, "d/f"), content=data)
    pod.text(session, "x = 1; open('g', 'w').write('g')")
    assert pod.call(session, "restart").status_code == 200
    assert set(_listed(pod, session)) == {"d", "d/f", "g"}
    assert pod.http.get(_url(session, "d/f")).content == data
    assert pod.text(
        session, "import os; print('x' in dir(), sorted(os.listdir()), os.path.getsize('d/f'))"
    ) == (f"False ['d', 'g'] {len(data)}\n")
    pod.text(session, "os.unlink('g'); y = 2")
    pod.call(session, "evict")
    assert pod.text(session, "print(y, os.listdir())") == "2 ['d']\n"
    pod.call(session, "restart")
    pod.call(session, "restart")
    assert set(_listed(pod, session)) == {"d", "d/f"}
    assert pod.text(session, "import os; print(os.listdir('d'))") == "['f']\n"


def test_files_go_back_and_fork_with_their_session(pod: Broker) -> None:
    session = pod.create()
    pod.text(session, "import os; os.mkdir('d'); os.chdir('d'); open('f', 'w').write('one') and None")
    before = pod.http.get(f"/v1/sessions/{session}").json()["revision"]
    pod.text(session, "open('f', 'w').write('two'); open('g', 'w').close()")
    fork = pod.http.post(f"/v1/sessions/{session}/fork", json={"revision": before}).json()["session_id"]
    assert pod.http.get(_url(fork, "d/f")).content == b"one"
    assert pod.text(fork, "print(os.listdir(), open('f').read())") == "['f'] one\n"
    pod.text(fork, "open('f', 'w').write('three') and None")
    assert pod.http.get(_url(session, "d/f")).content == b"two"
    answer = pod.http.post(f"/v1/sessions/{session}/checkout", json={"revision": before})
    assert answer.status_code == 200, answer.text
    assert set(_listed(pod, session)) == {"d", "d/f"}
    assert pod.text(session, "print(os.listdir(), open('f').read())") == "['f'] one\n"
    assert pod.text(fork, "print(open('f').read())") == "three\n"


def test_the_folders_of_a_killed_broker_are_removed_by_the_next(
    make_broker: Callable[..., Broker], tmp_path: Path
) -> None:
    broker = make_broker(files="state", files_dir=tmp_path / "folders")
    session = broker.create()
    here = Path(broker.text(session, "import os; open('f', 'w').write('kept'); print(os.getcwd())").strip())
    other = broker.create()
    there = Path(broker.text(other, "import os; print(os.getcwd())").strip())
    broker.stop(signal.SIGKILL)
    assert there.exists()
    broker.start()
    assert not there.exists()
    assert broker.text(session, "print(open('f').read(), os.getcwd())") == f"kept {here}\n"
    broker.stop()
    assert not here.exists()


def test_files_are_there_in_another_pod(
    make_broker: Callable[..., Broker], redis_server: RedisServer, tmp_path: Path
) -> None:
    one, other = (
        make_broker(redis_server.url, files="state", files_dir=tmp_path / name) for name in ("one", "other")
    )
    session = one.create()
    data = os.urandom(2 * CHUNK + 1)
    one.http.put(_url(session, "sent"), content=data)
    one.text(session, "f = open('made', 'w'); f.write('x' * 2_000_000); f.flush()")
    one.call(session, "evict")
    assert other.http.get(_url(session, "sent")).content == data
    assert other.text(session, "import os; print(os.path.getsize('made'), os.path.getsize('sent'))") == (
        f"2000000 {len(data)}\n"
    )
    other.text(session, "open('made', 'a').write('y') and None")
    other.stop(signal.SIGKILL)
    assert one.text(session, "import os; print(os.path.getsize('made'))") == "2000001\n"


def test_files_are_listed_and_read_without_a_worker(pod: Broker) -> None:
    session = pod.create()
    data = bytes(range(256)) * 10_000
    pod.text(session, "import os; os.mkdir('d'); open('d/é', 'wb').write(bytes(range(256)) * 10_000)")
    pod.text(session, "os.symlink('/etc/passwd', 'out'); open(b'\\xff', 'w').close()")
    pod.call(session, "evict")
    listed = _listed(pod, session)
    assert list(listed) == ["d", "d/é", "out", "\udcff"]
    assert listed["d/é"]["size"] == len(data)
    assert listed["out"]["target"] == "/etc/passwd"
    answer = pod.http.get(_url(session, "d/é"))
    assert answer.content == data
    assert answer.headers["content-length"] == str(len(data))
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%A9"
    assert pod.http.get(_url(session, b"\xff")).content == b""
    assert pod.http.get(f"/v1/sessions/{session}").json()["state"] == "cold"


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [("0-0", 0, 1), ("10-", 10, None), (f"{CHUNK - 5}-{CHUNK + 5}", CHUNK - 5, CHUNK + 6), ("-7", -7, None),
     (f"0-{9 * CHUNK}", 0, None), (f"{2 * CHUNK}-{2 * CHUNK}", 2 * CHUNK, 2 * CHUNK + 1)],
)  # fmt: skip
def test_a_range_of_a_file(pod: Broker, wanted: str, start: int, stop: int | None) -> None:
    session = pod.create(session_id="ranges")
    data = bytes(i % 251 for i in range(2 * CHUNK + 100))
    if "f" not in _listed(pod, session):
        assert pod.http.put(_url(session, "f"), content=data).status_code == 200
    answer = pod.http.get(_url(session, "f"), headers={"Range": f"bytes={wanted}"})
    assert answer.content == data[start:stop]
    assert answer.status_code == (206 if len(answer.content) < len(data) else 200)


def test_a_range_beyond_the_end(pod: Broker) -> None:
    session = pod.create()
    pod.http.put(_url(session, "f"), content=b"short")
    answer = pod.http.get(_url(session, "f"), headers={"Range": "bytes=5-"})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")


def test_a_file_that_is_sent_is_there_for_the_next_cell(pod: Broker) -> None:
    session = pod.create()
    data = os.urandom(3 * CHUNK + 17)
    answer = pod.http.put(_url(session, "in/a file \n é"), content=data)
    assert answer.status_code == 200, answer.text
    assert answer.json()["path"] == "in/a file \n é"
    assert answer.json()["size"] == len(data)
    assert pod.http.get(_url(session, "in/a file \n é")).content == data
    assert (
        pod.text(session, "import os; print(len(open('in/a file \\n é', 'rb').read()))") == f"{len(data)}\n"
    )
    pod.text(session, "open('in/a file \\n é', 'wb').write(b'by the cell')")
    assert pod.http.get(_url(session, "in/a file \n é")).content == b"by the cell"
    pod.call(session, "evict")
    assert pod.http.put(_url(session, b"\xfe\xff"), content=b"odd").status_code == 200
    assert pod.http.get(_url(session, b"\xfe\xff")).content == b"odd"
    assert pod.text(session, "print(open(b'\\xfe\\xff').read())") == "odd\n"


def test_a_file_is_deleted(pod: Broker) -> None:
    session = pod.create()
    pod.http.put(_url(session, "d/f"), content=b"x")
    assert pod.http.delete(_url(session, "d")).json()["code"] == "file_conflict"
    assert pod.http.delete(_url(session, "d/f")).status_code == 204
    assert pod.http.delete(_url(session, "d/f")).json()["code"] == "file_not_found"
    assert pod.http.delete(_url(session, "d")).status_code == 204
    assert _listed(pod, session) == {}
    assert pod.text(session, "import os; print(os.listdir())") == "[]\n"


@pytest.mark.parametrize(
    "path", ["%2e%2e/x", "a/%2e%2e/%2e%2e/x", "%2Fetc/passwd", "a//b", "a/", "%2e", "a%00b", "..%2f..%2fx"]
)
def test_a_path_that_leads_outside_is_refused(pod: Broker, path: str) -> None:
    session = pod.create(session_id="traversal")
    for method in ("GET", "PUT", "DELETE"):
        answer = pod.http.request(method, f"/v1/sessions/{session}/files/{path}", content=b"x")
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), (method, answer.text)
    assert _listed(pod, session) == {}


def test_what_is_no_file_is_not_read(pod: Broker) -> None:
    session = pod.create()
    pod.text(session, "import os; os.mkdir('d'); os.symlink('/etc/passwd', 'l')")
    for path in ("d", "l"):
        answer = pod.http.get(_url(session, path))
        assert (answer.status_code, answer.json()["code"]) == (409, "not_a_file")
    assert pod.http.get(_url(session, "missing")).json()["code"] == "file_not_found"
    assert pod.http.put(_url(session, "d"), content=b"x").json()["code"] == "not_a_file"
    assert pod.http.put(_url(session, "l/x"), content=b"x").json()["code"] == "file_conflict"


def test_a_file_over_the_limit_is_refused(pod: Broker) -> None:
    session = pod.create()
    assert pod.http.put(_url(session, "f"), content=bytes(8 * CHUNK)).status_code == 200
    answer = pod.http.put(_url(session, "f"), content=bytes(8 * CHUNK + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    streamed = pod.http.put(_url(session, "f"), content=iter([bytes(CHUNK)] * 9))
    assert (streamed.status_code, streamed.json()["code"]) == (413, "too_large")
    small = pod.create(limits={"file_bytes": 10, "files_bytes": 15})
    assert pod.http.put(_url(small, "f"), content=bytes(11)).json()["code"] == "too_large"
    assert pod.http.put(_url(small, "f"), content=bytes(10)).status_code == 200
    assert pod.http.put(_url(small, "g"), content=bytes(6)).json()["code"] == "too_large"


def test_a_cell_hears_of_a_file_that_is_not_kept(pod: Broker) -> None:
    session = pod.create(limits={"file_bytes": 10})
    result = pod.execute(session, "x = 1; open('big', 'wb').write(bytes(11)) and None").json()
    assert result["notices"] == [
        "Serverless Python: 'big' (file) cannot be saved with the session: its 11 bytes are over the limit "
        "of 10 bytes for one file. It works until the session moves to another process."
    ]
    pod.call(session, "evict")
    assert pod.text(session, "import os; print(x, os.listdir())") == "1 []\n"


def test_a_body_that_is_cut_off_changes_nothing(pod: Broker) -> None:
    session = pod.create()
    pod.http.put(_url(session, "f"), content=b"whole")
    with socket.create_connection(("127.0.0.1", pod.port)) as cut:
        head = f"PUT {_url(session, 'f')} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"
        cut.sendall(head.encode())
    assert pod.text(session, "print(open('f').read())") == "whole\n"
    assert pod.http.get(_url(session, "f")).content == b"whole"


def test_files_are_not_changed_while_a_cell_runs(pod: Broker) -> None:
    session = pod.create()
    body = {"code": "print('on', flush=True); input()", "allow_stdin": True}
    with pod.http.stream("POST", f"/v1/sessions/{session}/execute", json=body) as stream:
        lines = stream.iter_lines()
        assert any("input_request" in line for line in lines)
        answer = _alone(pod, "PUT", _url(session, "f"))
        assert (answer.status_code, answer.json()["code"]) == (409, "session_running")
        assert _alone(pod, "DELETE", _url(session, "f")).status_code == 409
        assert _alone(pod, "GET", f"/v1/sessions/{session}/files").status_code == 200
        pod.post_input(session, "")
        list(lines)
    assert pod.http.put(_url(session, "f"), content=b"x").status_code == 200


def _alone(broker: Broker, method: str, path: str) -> httpx.Response:
    """A request on a connection of its own: a stream is open on the client's."""
    return httpx.request(method, broker.url + path, content=b"x")


def test_a_session_on_its_host_says_where_its_files_are(broker: Broker) -> None:
    session = broker.create()
    for method, path in (("GET", ""), ("GET", "/f"), ("PUT", "/f"), ("DELETE", "/f")):
        answer = broker.http.request(method, f"/v1/sessions/{session}/files{path}")
        assert (answer.status_code, answer.json()["code"]) == (409, "files_on_host")
        assert "folder of its host" in answer.json()["detail"]


def test_where_files_are_is_chosen_as_far_as_it_is_allowed(pod: Broker, broker: Broker) -> None:
    assert pod.http.get(f"/v1/sessions/{pod.create()}").json()["files"] == "state"
    assert broker.http.get(f"/v1/sessions/{broker.create()}").json()["files"] == "host"
    refused = pod.http.post("/v1/sessions", json={"files": "host"})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    for body in ({"files": "cloud"}, {"limits": {"file_bytes": "many"}}, {"limits": {"files_count": -1}}):
        assert pod.http.post("/v1/sessions", json=body).status_code == 422


def test_a_file_with_a_damaged_chunk_is_not_handed_out(
    make_broker: Callable[..., Broker], tmp_path: Path
) -> None:
    broker = make_broker(files="state", files_dir=tmp_path / "folders")
    session = broker.create()
    broker.http.put(_url(session, "f"), content=b"original")
    broker.call(session, "evict")
    broker.stop()
    with sqlite3.connect(broker.home / "store.db") as db:
        db.execute("UPDATE chunk_data SET data = ? WHERE data = ?", [b"forged!!", b"original"])
    broker.start()
    answer = broker.http.get(_url(session, "f"))
    assert (answer.status_code, answer.json()["code"]) == (500, "state_unreadable")
