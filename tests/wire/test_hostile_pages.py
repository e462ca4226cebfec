"""Pages of files and of variables, as anybody may have put them in the store: read, or refused as such."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.hostile import almost, examples
from kernel_broker.api.models import VariableView
from kernel_broker.wire.pages import FileRecord, PageError, chunks_of, decode_pages, encode_page, is_safe_path
from kernel_broker.wire.records import join_page, split_page, split_record, variables
from kernel_broker.wire.text import to_json

CHUNK = "0a" * 20
PAGE = json.loads(
    encode_page(
        [
            FileRecord("a", "folder", 0o755, 1),
            FileRecord("a/b", "file", 0o644, 1, 3, (CHUNK,)),
            FileRecord("l", "link", 0o777, 1, target="a/b"),
        ]
    )
)
HEADER = {
    "variables": [["x", "list", "[1, 2]", 1], ["_", "int", "1", 2]],
    "lost": [["x", "socket", "it is open", 1]],
    "size": 10,
    "packed": False,
}
raw = st.binary(max_size=200)


def record(header: bytes, stream: bytes = b"") -> bytes:
    return len(header).to_bytes(4, "big") + header + stream


headers = almost(HEADER).map(lambda header: to_json(header).encode()) | raw
records = st.builds(record, headers, raw) | raw
unit_pages = st.lists(records, max_size=3).map(join_page) | raw


@settings(max_examples=examples(150), deadline=None)
@given(st.dictionaries(st.sampled_from(["files/0", "files/1", "files/x"]), almost(PAGE), max_size=2), raw)
def test_a_page_of_files_is_sound_or_refused(pages: dict[str, object], other: bytes) -> None:
    entries = {name: to_json(page).encode() for name, page in pages.items()} | {"env/x": other}
    try:
        found = decode_pages(entries)
    except PageError:
        assert chunks_of(entries) == set()
        return
    for path, item in found.items():
        assert is_safe_path(path)
        assert item.kind in ("file", "folder", "link") and 0 <= item.mode <= 0o7777
        assert len(item.chunks) == -(-item.size // 2**20)


@given(raw)
def test_bytes_that_are_no_page_of_files_are_refused(data: bytes) -> None:
    with pytest.raises(PageError):
        decode_pages({"files/0": data})


@settings(max_examples=examples(200), deadline=None)
@given(unit_pages)
def test_a_page_of_variables_is_shown_or_refused(page: bytes) -> None:
    try:
        shown = variables({"units/0": page})
    except ValueError:
        return
    assert all(VariableView(**variable) for variable in shown)


@given(st.lists(raw, max_size=4))
def test_records_come_out_of_a_page_as_they_went_in(parts: list[bytes]) -> None:
    assert list(split_page(join_page(parts))) == parts


@pytest.mark.parametrize("header", [b"[" * 100_000, b"[]", b"1", b"", b'{"size":' + b"1" * 5000 + b"}"])
def test_a_header_that_is_none_is_refused(header: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        split_record(record(header))
