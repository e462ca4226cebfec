"""Files that are put into the working directory, and removed from it, on request."""

import os
from pathlib import Path

import pytest

from fixtures.file_store import FileStore
from kernel_broker.worker.files.limits import FileLimits
from kernel_broker.worker.files.requests import FileRequests
from kernel_broker.worker.state.chunks import CHUNK, name_of


class Desk:
    """Sends requests as the broker would: the content is in the store already."""

    def __init__(self, store: FileStore) -> None:
        self.store = store
        self.folder = store.folder
        self._requests = FileRequests(store.files, store.fetch, store.key)

    def write(self, path: str, data: bytes) -> dict[str, str]:
        pieces = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
        chunks = {name_of(piece, self.store.key): piece for piece in pieces}
        self.store.chunks |= chunks
        names = [name_of(piece, self.store.key) for piece in pieces]
        return self._requests.answer({"op": "write", "path": path, "size": len(data), "chunks": names})

    def delete(self, path: str) -> dict[str, str]:
        return self._requests.answer({"op": "delete", "path": path})


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(FileStore(tmp_path))


def test_a_file_is_written_with_the_folders_above_it(desk: Desk) -> None:
    data = os.urandom(2 * CHUNK + 5)
    assert desk.write("a/b/c.bin", data) == {"status": "ok"}
    assert (desk.folder / "a/b/c.bin").read_bytes() == data
    assert (desk.folder / "a/b/c.bin").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in (desk.folder / "a/b").iterdir()] == ["c.bin"]
    desk.store.commit()
    assert desk.store.content("a/b/c.bin") == data


def test_a_file_that_is_replaced_keeps_its_mode(desk: Desk) -> None:
    (desk.folder / "tool").write_text("old")
    (desk.folder / "tool").chmod(0o700)
    assert desk.write("tool", b"") == {"status": "ok"}
    assert (desk.folder / "tool").read_bytes() == b""
    assert (desk.folder / "tool").stat().st_mode & 0o777 == 0o700


def test_a_link_is_replaced_not_written_through(desk: Desk, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (desk.folder / "link").symlink_to(victim)
    assert desk.write("link", b"new") == {"status": "ok"}
    assert victim.read_text() == "untouched"
    assert not (desk.folder / "link").is_symlink()


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "", ".", "a\0b"])
def test_a_path_that_leads_outside_is_refused(desk: Desk, path: str) -> None:
    for answer in (desk.write(path, b"x"), desk.delete(path)):
        assert answer["code"] == "invalid"


def test_nothing_is_written_or_deleted_below_a_link(desk: Desk, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    (desk.folder / "way").symlink_to(outside)
    assert desk.write("way/x", b"x")["code"] == "file_conflict"
    assert desk.delete("way/precious")["code"] == "file_not_found"
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert desk.delete("way") == {"status": "ok"}
    assert outside.exists()


def test_a_folder_is_no_file(desk: Desk) -> None:
    (desk.folder / "d").mkdir()
    assert desk.write("d", b"x")["code"] == "not_a_file"
    assert desk.write("f", b"x") == {"status": "ok"}
    assert desk.write("f/inside", b"x")["code"] == "file_conflict"


def test_files_and_empty_folders_are_deleted(desk: Desk) -> None:
    desk.write("d/f", b"x")
    assert desk.delete("d") == {
        "status": "error",
        "code": "file_conflict",
        "detail": "'d': Directory not empty",
    }
    assert desk.delete("d/f") == {"status": "ok"}
    assert desk.delete("d") == {"status": "ok"}
    assert desk.delete("d")["code"] == "file_not_found"


def test_what_would_not_be_kept_is_not_written(tmp_path: Path) -> None:
    desk = Desk(FileStore(tmp_path, FileLimits(total=100, single=80)))
    assert desk.write("a", b"x" * 81)["code"] == "too_large"
    assert desk.write("a", b"x" * 80) == {"status": "ok"}
    desk.store.commit()
    answer = desk.write("b", b"x" * 21)
    assert answer["code"] == "too_large"
    assert "over their limit of 100 bytes together" in answer["detail"]
    assert desk.write("a", b"x" * 70) == {"status": "ok"}
    assert [path.name for path in desk.folder.iterdir()] == ["a"]


def test_a_chunk_that_is_damaged_leaves_the_file_as_it_was(desk: Desk) -> None:
    desk.write("a", b"old")
    desk.store.chunks |= {name_of(b"new", desk.store.key): b"bad"}
    names = [name_of(b"new", desk.store.key)]
    answer = desk._requests.answer({"op": "write", "path": "a", "size": 3, "chunks": names})
    assert answer["status"] == "error"
    assert (desk.folder / "a").read_bytes() == b"old"
    assert [path.name for path in desk.folder.iterdir()] == ["a"]
