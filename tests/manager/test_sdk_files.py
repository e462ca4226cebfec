"""The SDK's files on a real broker that keeps them with the session."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.broker import Broker
from kernel_manager import AsyncSession, Conflict, NotFound, Session, TooLarge


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    folders = tmp_path_factory.mktemp("sdk-files")
    broker = Broker(preload="", spares=1, files="state", files_dir=folders / "base", file_bytes=3 * 2**20)
    yield broker.start()
    broker.destroy()


def test_files_go_in_and_out(pod: Broker, tmp_path: Path) -> None:
    data = os.urandom(2**20 + 5)
    with Session(url=pod.url) as s:
        assert s.files.list() == []
        assert s.files.write("in/data.bin", data)["size"] == len(data)
        assert s.execute("d = open('in/data.bin', 'rb').read(); len(d)").text == str(len(data))
        s.execute("open('out é', 'wb').write(d[::-1]); open(b'\\xff', 'w').write('odd')")
        s.evict()
        assert s.files.read("out é") == data[::-1]
        assert s.files.read(os.fsdecode(b"\xff")) == b"odd"
        assert {item["path"] for item in s.files.list()} == {"in", "in/data.bin", "out é", "\udcff"}
        s.files.download("out é", tmp_path / "here")
        assert (tmp_path / "here").read_bytes() == data[::-1]
        s.files.upload(tmp_path / "here")
        s.files.upload(tmp_path / "here", "there")
        assert s.execute("open('here', 'rb').read() == open('there', 'rb').read() == d[::-1]").text == "True"
        s.files.delete("there")
        with pytest.raises(NotFound, match="no file 'there'"):
            s.files.read("there")


async def test_files_for_code_that_awaits(pod: Broker) -> None:
    async with AsyncSession(url=pod.url) as s:
        await s.files.write("f", "text é")
        assert await s.files.read("f") == "text é".encode()
        await s.files.delete("f")
        assert await s.files.list() == []


def test_what_is_refused_says_why(pod: Broker, tmp_path: Path) -> None:
    with Session(url=pod.url) as s:
        for path in ("../x", "/etc/passwd", "", "a//b"):
            with pytest.raises(ValueError, match="inside the session's folder"):
                s.files.write(path, b"x")
        with pytest.raises(TooLarge):
            s.files.write("big", bytes(3 * 2**20 + 1))
        with pytest.raises(NotFound):
            s.files.download("missing", tmp_path / "missing")
        assert list(tmp_path.iterdir()) == []


def test_a_session_on_its_host_has_no_files_of_its_own(shared_broker: Broker) -> None:
    with Session(url=shared_broker.url) as s, pytest.raises(Conflict, match="folder of its host"):
        s.files.list()


def test_a_session_may_ask_for_files_that_travel(shared_broker: Broker) -> None:
    with Session(url=shared_broker.url, files="state") as s:
        s.files.write("f", b"x")
        assert s.execute("open('f').read()").text == "'x'"
