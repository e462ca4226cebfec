"""Pages that nobody honest has made, and trees that lead outside: nothing is read or written there."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.file_store import FileStore
from kernel_broker.wire.pages import (
    FileRecord,
    PageError,
    decode_page,
    decode_pages,
    encode_page,
    is_safe_path,
)
from kernel_broker.worker.files.restore import restore_tree
from kernel_broker.worker.files.tree import open_folder, open_root
from kernel_broker.worker.state.chunks import name_of
from kernel_broker.worker.state.errors import StateCorrupt

_GOOD: dict[str, Any] = {
    "path": "a",
    "kind": "file",
    "mode": 0o644,
    "mtime": 0,
    "size": 3,
    "chunks": ["0" * 40],
}
_LINK: dict[str, Any] = {"path": "a", "kind": "link", "mode": 0o777, "mtime": 0, "target": ".."}
_FOLDER: dict[str, Any] = {"path": "a", "kind": "folder", "mode": 0o755, "mtime": 0}


def _page(*items: object, **members: object) -> bytes:
    return json.dumps({"format": 1, "files": items, **members}).encode()


def test_the_pages_of_these_attacks_are_good_but_for_one_thing() -> None:
    for item in (_GOOD, _LINK, _FOLDER):
        assert len(decode_page(_page(item))) == 1


@pytest.mark.parametrize(
    "path",
    ["", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/..", ".", "./a", "a/.", "a//b", "a/", "a\0b",
     "x" * 256, "/".join(["d" * 200] * 30), "\ud800", "\udcc3\udca9", 7, None, ["a"]],
)  # fmt: skip
def test_a_path_that_is_not_plainly_inside_is_refused(path: object) -> None:
    if isinstance(path, str):
        assert not is_safe_path(path)
    with pytest.raises(PageError):
        decode_page(_page({**_GOOD, "path": path}))


@pytest.mark.parametrize(
    "change",
    [{"kind": "device"}, {"kind": "folder"}, {"mode": -1}, {"mode": 0o10000}, {"mode": "7"}, {"mode": True},
     {"size": -1}, {"size": 2**20 + 1}, {"size": 0}, {"size": 1.0}, {"mtime": 10**23}, {"mtime": None},
     {"chunks": ["../../etc/passwd"]}, {"chunks": [7]}, {"chunks": None}, {"chunks": []}, {"target": "x"},
     {"chunks": ["0" * 40, "0" * 40]}],
)  # fmt: skip
def test_a_malformed_record_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(PageError):
        decode_page(_page({**_GOOD, **change}))


@pytest.mark.parametrize(
    "change", [{"target": ""}, {"target": "a\0b"}, {"target": 7}, {"target": "\ud800"}, {"size": 1}]
)
def test_a_malformed_link_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(PageError):
        decode_page(_page({**_LINK, **change}))


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x04N.", b"[]", b"{}", b"null", b'{"format": 2, "files": []}', b"[" * 100_000]
)
def test_bytes_that_are_no_page_are_refused(data: bytes) -> None:
    with pytest.raises(PageError):
        decode_page(data)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("0" * 40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


_RECORDS = st.sampled_from([_GOOD, _LINK, _FOLDER])
_MEMBERS = st.sampled_from([*_GOOD, "target"])


@given(base=_RECORDS, member=_MEMBERS, value=_VALUES)
def test_any_record_is_good_or_refused(base: dict[str, Any], member: str, value: object) -> None:
    try:
        [record] = decode_page(_page({**base, member: value}))
    except PageError:
        return
    assert decode_page(encode_page([record])) == [record]


@given(value=_VALUES)
def test_any_json_is_a_page_or_refused(value: object) -> None:
    for document in (value, {"format": 1, "files": value}, {"format": 1, "files": [value]}):
        with suppress(PageError):
            assert decode_page(json.dumps(document).encode()) == []


@pytest.mark.parametrize(
    "listed",
    [
        [_GOOD, _GOOD],
        [_GOOD, _LINK],
        [{**_GOOD, "path": "missing/file"}],
        [_LINK, {**_GOOD, "path": "a/passwd"}],
        [_GOOD, {**_GOOD, "path": "a/b"}],
    ],
)
def test_trees_that_contradict_themselves_are_refused(listed: list[dict[str, Any]], tmp_path: Path) -> None:
    entries = {f"files/{number}": _page(item) for number, item in enumerate(listed)}
    with pytest.raises(PageError):
        decode_pages(entries)
    store = FileStore(tmp_path)
    store.entries = entries
    with pytest.raises(StateCorrupt):
        store.resume()
    assert list(store.folder.iterdir()) == []


@pytest.mark.parametrize("name", ["files/", "files/x", "files/../0", "files/-1", "files/1.0"])
def test_a_page_of_another_name_is_refused(name: str) -> None:
    with pytest.raises(PageError):
        decode_pages({name: _page()})


def test_even_records_that_were_not_checked_write_nothing_through_a_link(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    (folder / "way").symlink_to(outside)
    key, data = bytes(32), b"owned"
    chunk = name_of(data, key)
    records = {
        path: FileRecord(path, "file", 0o644, 0, len(data), (chunk,)) for path in ("way/a", "way/../../b")
    }
    records["way/sub"] = FileRecord("way/sub", "folder", 0o700, 0)
    root = open_root(folder)
    lost, _ = restore_tree(root, records, lambda names: iter([data] * len(names)), key)
    os.close(root)
    assert "way/a" in lost
    assert "way/sub" in lost
    assert list(outside.iterdir()) == []


def test_a_file_is_never_written_through_a_link_of_its_name(tmp_path: Path) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "folder"
    victim.write_text("untouched")
    folder.mkdir()
    (folder / "a").symlink_to(victim)
    key, data = bytes(32), b"owned"
    record = FileRecord("a", "file", 0o644, 0, len(data), (name_of(data, key),))
    root = open_root(folder)
    assert restore_tree(root, {"a": record}, lambda names: iter([data]), key) == ({}, set())
    os.close(root)
    assert victim.read_text() == "untouched"
    assert (folder / "a").read_bytes() == data
    assert not (folder / "a").is_symlink()


def test_a_working_directory_that_is_a_link_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(OSError):
        open_root(tmp_path / "link")


def test_no_part_of_a_path_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    root = open_root(tmp_path)
    with pytest.raises(OSError):
        open_folder(root, "link")
    os.close(root)


def test_pieces_of_a_wrong_length_make_no_file(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    data = b"four"
    chunk = name_of(data, store.key)
    store.chunks = {chunk: data}
    store.entries = {"files/0": encode_page([FileRecord("a", "file", 0o644, 0, 3, (chunk,))])}
    [pin] = store.resume()
    assert "not as long" in pin.reason
    assert list(store.folder.iterdir()) == []
