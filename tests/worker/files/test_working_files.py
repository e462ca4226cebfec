"""The working directory as entries and chunks, and back: what is kept, at what cost, and what is refused."""

import mmap
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.file_store import FileStore
from kernel_broker.worker.files.content import TICK
from kernel_broker.worker.files.limits import FileLimits

MEGABYTE = 2**20


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path)


def test_a_tree_comes_back_in_another_folder(store: FileStore) -> None:
    here = store.folder
    (here / "empty" / "nested").mkdir(parents=True)
    (here / "data.bin").write_bytes(bytes(range(256)) * 9000)
    (here / "nothing").touch()
    (here / "tool.sh").write_text("#!/bin/sh\n")
    (here / "tool.sh").chmod(0o750)
    (here / "link").symlink_to("data.bin")
    (here / "outside").symlink_to("/etc/passwd")
    (here / "broken").symlink_to("no/such/thing")
    os.close(os.open(os.fsencode(here) + b"/latin-\xe9", os.O_CREAT | os.O_WRONLY))
    (here / "naïve \n 名前").write_text("x")
    os.utime(here / "data.bin", ns=(1, 1_234_567_890_123_456_789))
    os.utime(here / "empty", ns=(1, 987_654_321_000_000_001))
    (here / "empty").chmod(0o555)
    assert store.move() == []
    assert store.tree() == store.tree(here)
    assert (store.folder / "outside").readlink() == Path("/etc/passwd")
    assert (store.folder / "data.bin").stat().st_mtime_ns == 1_234_567_890_123_456_789


def test_an_unchanged_tree_costs_nothing(store: FileStore) -> None:
    (store.folder / "a").write_bytes(os.urandom(3 * MEGABYTE))
    store.age()
    first = store.commit()
    assert sum(first.sent.values()) == 3 * MEGABYTE
    second = store.commit()
    assert (second.sent, second.put, second.read) == ({}, {}, 0)


def test_a_young_file_is_read_once_more(store: FileStore) -> None:
    path = store.folder / "a"
    for _ in range(100):  # a busy machine may look too late for it to be young
        path.write_text("a")
        assert store.commit().read == 1
        if time.time_ns() - path.stat().st_ctime_ns < TICK:
            break
    else:
        pytest.skip("the machine is too busy to look at a file within a tick of its clock")
    store.age()
    assert store.commit().read == 1
    assert store.commit().read == 0


def test_an_append_and_an_edit_send_the_changed_chunks_only(store: FileStore) -> None:
    path = store.folder / "big"
    path.write_bytes(os.urandom(5 * MEGABYTE + 10))
    store.commit()
    with path.open("ab") as file:
        file.write(b"more")
    assert list(store.commit().sent.values()) == [14]
    with path.open("r+b") as file:
        file.seek(2 * MEGABYTE)
        file.write(b"edited")
    assert list(store.commit().sent.values()) == [MEGABYTE]
    assert store.move() == []
    assert (store.folder / "big").read_bytes() == path.read_bytes()


def test_a_file_rewritten_at_its_size_and_time_is_noticed(store: FileStore) -> None:
    path = store.folder / "same"
    path.write_bytes(b"one")
    was = path.stat()
    store.commit()
    for content in (b"two", b"six", b"ten"):
        with path.open("r+b") as file:
            file.write(content)
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
        store.commit()
        assert store.content("same") == content


def test_writes_through_a_mapping_are_noticed(store: FileStore) -> None:
    path = store.folder / "mapped"
    path.write_bytes(bytes(8192))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        view[0:3] = b"one"
        store.age()
        store.commit()
        for content in (b"two", b"six"):
            view[0:3] = content  # the page is dirty already: the file's times do not move
            store.commit()
            assert store.content("mapped")[:3] == content
        view[0:3] = b"ten"
    store.commit()
    assert store.content("mapped")[:3] == b"ten"


def test_what_is_deleted_goes(store: FileStore) -> None:
    (store.folder / "sub").mkdir()
    (store.folder / "sub" / "a").write_text("a")
    store.commit()
    (store.folder / "sub" / "a").unlink()
    (store.folder / "sub").rmdir()
    store.commit()
    assert store.listed() == {}
    assert store.move() == []
    assert store.tree() == {}


def test_a_file_that_becomes_a_folder_and_back(store: FileStore) -> None:
    path = store.folder / "x"
    path.write_text("file")
    store.commit()
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("y")
    assert store.move() == []
    assert (store.folder / "x" / "inside").read_text() == "y"


def test_only_the_page_of_a_changed_file_is_new(store: FileStore) -> None:
    for number in range(300):
        (store.folder / f"f{number:03}").write_text(str(number))
    assert len(store.commit().entries) == 5
    (store.folder / "f007").write_text("changed")
    assert len(store.commit().put) == 1
    (store.folder / "f000a").write_text("new")
    assert len(store.commit().put) == 1
    (store.folder / "f299").unlink()
    assert len(store.commit().put) == 1


def test_a_commit_that_was_not_acknowledged_is_repeated(store: FileStore) -> None:
    (store.folder / "a").write_text("content")
    store.age()
    lost = store.commit(acknowledge=False)
    again = store.commit()
    assert again.sent == lost.sent != {}
    assert store.content("a") == b"content"


def test_moved_files_are_not_sent_again(store: FileStore) -> None:
    (store.folder / "a").write_bytes(os.urandom(2 * MEGABYTE))
    os.utime(store.folder / "a", ns=(1, 1))
    store.move()
    step = store.commit()
    assert (step.sent, step.put, step.read) == ({}, {}, 0)
    (store.folder / "a").rename(store.folder / "b")
    assert store.commit().sent == {}


def test_a_file_over_the_limit_keeps_its_last_version(tmp_path: Path) -> None:
    store = FileStore(tmp_path, FileLimits(single=100))
    (store.folder / "small").write_bytes(b"s" * 60)
    (store.folder / "grows").write_bytes(b"g" * 60)
    store.commit()
    (store.folder / "grows").write_bytes(b"g" * 101)
    store.commit()
    [pin] = store.files.new_pins
    assert (pin.name, pin.type) == ("grows", "file")
    assert pin.reason == (
        "its 101 bytes are over the limit of 100 bytes for one file; what was last saved of it stays saved"
    )
    store.commit()
    assert store.files.new_pins == []
    assert len(store.files.pins) == 1
    assert store.content("grows") == b"g" * 60
    (store.folder / "grows").write_bytes(b"g" * 99)
    store.commit()
    assert store.files.pins == []
    assert store.content("grows") == b"g" * 99


def test_files_over_the_limit_together(tmp_path: Path) -> None:
    store = FileStore(tmp_path, FileLimits(total=100))
    (store.folder / "old").write_bytes(b"o" * 60)
    store.commit()
    (store.folder / "a-new").write_bytes(b"n" * 50)
    store.commit()
    [pin] = store.files.new_pins
    assert pin.name == "a-new"
    assert pin.reason == "the session's files would be over their limit of 100 bytes together"
    assert store.content("old") == b"o" * 60
    (store.folder / "old").unlink()
    store.commit()
    assert store.files.pins == []
    assert store.content("a-new") == b"n" * 50


def test_too_many_files(tmp_path: Path) -> None:
    store = FileStore(tmp_path, FileLimits(count=3))
    for name in "abc":
        (store.folder / name).touch()
    store.commit()
    (store.folder / "0").mkdir()
    (store.folder / "0" / "inside").touch()
    store.commit()
    assert [pin.reason for pin in store.files.pins] == [
        "the session's limit of 3 files and folders is reached"
    ]
    assert set(store.listed()) == {"a", "b", "c"}


def test_what_is_no_file_is_named(store: FileStore) -> None:
    os.mkfifo(store.folder / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(store.folder / "sock"))
        (store.folder / "plain").write_text("p")
        store.commit()
    assert {(pin.name, pin.type) for pin in store.files.pins} == {("pipe", "pipe"), ("sock", "socket")}
    assert set(store.listed()) == {"plain"}


def test_a_link_is_never_followed(store: FileStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (store.folder / "way").symlink_to(outside)
    store.commit()
    assert set(store.listed()) == {"way"}
    assert store.listed()["way"].target == str(outside)


def test_a_folder_that_is_gone_leaves_the_saved_files(store: FileStore) -> None:
    (store.folder / "a").write_text("a")
    store.commit()
    store.folder.rename(store.folder.with_name("elsewhere"))
    store.commit()
    assert store.content("a") == b"a"
    assert "cannot be read" in store.files.pins[0].reason


def test_a_missing_chunk_costs_one_file_and_its_record_stays(store: FileStore) -> None:
    (store.folder / "bad").write_bytes(b"bad")
    (store.folder / "good").write_bytes(b"good")
    store.commit()
    [chunk] = store.listed()["bad"].chunks
    del store.chunks[chunk]
    [pin] = store.resume()
    assert pin.name == "bad"
    assert pin.reason == f"chunk {chunk} of the state is missing from the store"
    assert [path.name for path in store.folder.iterdir()] == ["good"]
    store.commit()
    assert set(store.listed()) == {"bad", "good"}
    assert [pin.name for pin in store.files.pins] == ["bad"]
    (store.folder / "bad").write_bytes(b"new")
    store.commit()
    assert store.files.pins == []
    assert store.content("bad") == b"new"


def test_a_damaged_chunk_is_never_written(store: FileStore) -> None:
    (store.folder / "a").write_bytes(b"right")
    store.commit()
    [chunk] = store.listed()["a"].chunks
    store.chunks[chunk] = b"wrong"
    [pin] = store.resume()
    assert "damaged" in pin.reason
    assert list(store.folder.iterdir()) == []


def test_folders_nested_without_end_are_named(store: FileStore) -> None:
    here = os.open(store.folder, os.O_RDONLY)
    for _ in range(120):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    store.commit()
    [pin] = store.files.pins
    assert "nested deeper" in pin.reason
    assert store.move() == []


@pytest.fixture
def mortal() -> Iterator[Path]:
    """A folder, and the rights of a user who is not root."""
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o777)
        was = os.geteuid()
        if was == 0:
            os.seteuid(65534)
        try:
            yield Path(home)
        finally:
            os.seteuid(was)


def test_what_must_not_be_read_is_named_and_stays_as_it_was_saved(mortal: Path) -> None:
    store = FileStore(mortal)
    for folder in ("locked", "frozen"):
        (store.folder / folder).mkdir()
        (store.folder / folder / "inside").write_text("x")
    (store.folder / "frozen").chmod(0o555)
    (store.folder / "secret").write_text("first")
    store.commit()
    (store.folder / "secret").write_text("second")
    for name in ("locked", "secret"):
        (store.folder / name).chmod(0)
    store.commit()
    why = "it cannot be read (Permission denied); what was last saved of it stays saved"
    assert [(pin.name, pin.reason) for pin in store.files.pins] == [("locked", why), ("secret", why)]
    for name in ("locked", "frozen"):
        (store.folder / name).chmod(0o755)  # for who cleans up
    assert store.resume() == []
    assert (store.folder / "secret").read_text() == "first"
    assert (store.folder / "locked" / "inside").read_text() == "x"
    assert (store.folder / "frozen").stat().st_mode & 0o777 == 0o555
    (store.folder / "frozen").chmod(0o755)
