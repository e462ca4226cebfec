"""A state is loaded only as it was written: whole, by this session, for this Python; and sent once."""

import json
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.hostile import almost, examples
from fixtures.state_lab import Bench, Sitting
from kernel_broker.worker.state import chunks, manifest
from kernel_broker.worker.state.errors import StateCorrupt, StateMismatch

KEY = b"k" * 32


def sealed(entries: dict[str, bytes]) -> dict[str, bytes]:
    digests = {name: manifest.digest(data, KEY, name).hex() for name, data in entries.items()}
    return entries | {manifest.NAME: manifest.Manifest(digests).seal(KEY)}


def test_a_sealed_state_is_accepted() -> None:
    assert set(manifest.unseal(sealed({"graph": b"1", "env/x": b"2"}), KEY).entries) == {"graph", "env/x"}


@pytest.mark.parametrize("name", ["graph", "env/x", manifest.NAME])
def test_a_changed_byte_is_refused(name: str) -> None:
    entries = sealed({"graph": b"abc", "env/x": b"def"})
    for place in range(len(entries[name])):
        data = bytearray(entries[name])
        data[place] ^= 1
        with pytest.raises(StateCorrupt, match="damaged"):
            manifest.unseal(entries | {name: bytes(data)}, KEY)


def test_an_entry_of_another_revision_or_name_is_refused() -> None:
    old, new = sealed({"graph": b"old", "env/x": b"1"}), sealed({"graph": b"new", "env/x": b"1"})
    with pytest.raises(StateCorrupt, match="'graph' of the state is damaged or belongs to another revision"):
        manifest.unseal(new | {"graph": old["graph"]}, KEY)
    with pytest.raises(StateCorrupt, match="'graph' of the state is missing"):
        manifest.unseal({name: data for name, data in new.items() if name != "graph"}, KEY)
    with pytest.raises(StateCorrupt):
        manifest.unseal(new | {"graph": new["env/x"]}, KEY)
    with pytest.raises(StateCorrupt, match="'extra'"):
        manifest.unseal(new | {"extra": b""}, KEY)
    with pytest.raises(StateCorrupt, match="no manifest"):
        manifest.unseal({"graph": b""}, KEY)


def test_another_session_s_state_is_refused() -> None:
    with pytest.raises(StateCorrupt, match="not written by this session"):
        manifest.unseal(sealed({"graph": b"1"}), b"x" * 32)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"magic": "00000000", "python": [3, 99, 0]},
            "made by Python 3.99.0 and cannot be loaded by Python 3.",
        ),
        ({"format": 999}, "has format 999"),
    ],
)
def test_another_python_or_format_is_named(change: dict[str, object], text: str) -> None:
    body = json.loads(manifest.Manifest({}).seal(KEY)[20:]) | change
    data = json.dumps(body).encode()
    with pytest.raises(StateMismatch, match=text):
        manifest.unseal({manifest.NAME: manifest.digest(data, KEY, manifest.NAME) + data}, KEY)


RECORDED = {"format": 1, "python": [3, 11, 0], "magic": MAGIC_NUMBER.hex(), "libraries": {}, "entries": {}}


@settings(max_examples=examples(150), deadline=None)
@given(almost(RECORDED).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60), st.booleans())
def test_whatever_a_manifest_says_it_is_read_or_refused(body: bytes, tagged: bool) -> None:
    data = manifest.digest(body, KEY, manifest.NAME) + body if tagged else body
    try:
        found = manifest.unseal({manifest.NAME: data, "graph": b"1"}, KEY)
    except (StateCorrupt, StateMismatch):
        return
    assert tagged and found.entries["graph"] == manifest.digest(b"1", KEY, "graph").hex()


def test_chunks_are_verified_when_joined() -> None:
    store: dict[str, bytes] = {}
    cutter = chunks.Chunks(KEY, (), lambda name, piece: store.update({name: bytes(piece)}))
    data = bytes(range(256)) * 10_000
    names = cutter.cut(data)
    assert list(dict.fromkeys(names)) == cutter.new == list(store) and len(names) == 3
    assert all(len(piece) <= chunks.CHUNK for piece in store.values())
    assert b"".join(chunks.pieces(len(data), names, lambda ids: map(store.get, ids), KEY)) == data
    for size in (len(data) - 1, len(data) + 1):
        with pytest.raises(StateCorrupt, match="not the size that was recorded"):
            list(chunks.pieces(size, names, lambda ids: map(store.get, ids), KEY))
    store[names[1]] = store[names[1]][:-1] + b"?"
    with pytest.raises(StateCorrupt, match=f"chunk {names[1]} of the state is damaged"):
        list(chunks.pieces(len(data), names, lambda ids: map(store.get, ids), KEY))
    with pytest.raises(StateCorrupt, match=f"chunk {names[0]} of the state is missing"):
        list(chunks.pieces(len(data), names, lambda ids: (None for _ in ids), KEY))


def test_an_unchanged_array_is_neither_sent_nor_dropped_again(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    first = sitting.run("import numpy as np; a=np.random.default_rng(1).random(500_000); x=1")
    assert 3 <= len(first.chunks) <= 4
    second = sitting.run("x=2; y=a.mean()")
    assert not second.chunks and not second.done["commit"]["drop"]
    assert "units/0" in second.done["commit"]["put"]
    sitting.move()
    third = sitting.run("x=3; v=a[10:]")
    assert not third.chunks and not third.done["commit"]["drop"]
    edited = sitting.run("a[0]=0")
    assert len(edited.chunks) == 1 and len(edited.done["commit"]["drop"]) == 1
    gone = sitting.run("del a, v")
    assert not gone.chunks and len(gone.done["commit"]["drop"]) == len(first.chunks)
    assert not sitting.chunks


def test_a_capture_that_was_not_committed_is_repeated(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run("a=1")
    lost = sitting.run("import numpy as np; b=np.arange(100_000); a=2", commit=False)
    again = sitting.run("a=3")
    assert set(lost.chunks) == set(again.chunks) and again.done["commit"]["put"]
    sitting.move()
    assert sitting.run("print(a, b.sum())").text == "3 4999950000\n"


def test_an_uncommitted_cell_is_forgotten_by_a_move(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run("a=[1]")
    sitting.run("a.append(2)", commit=False)
    sitting.move()
    assert sitting.run("print(a, get_ipython().execution_count, len(In))").text == "[1] 3 3\n"


def test_nothing_is_written_of_what_did_not_change(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run(
        "import random, os, numpy as np; random.seed(1); os.environ['Q']='1'; np.random.seed(3); x=[1]"
    )
    put = set(sitting.run("pass").done["commit"]["put"])
    assert put == {
        "manifest",
        "env/counter",
        "env/history/recent",
        "env/history/in/0",
        "env/history/source/0",
    }


def test_history_is_paged(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    for number in range(66):
        answer = sitting.run(f"x={number}")
    pages = {name for name in answer.done["commit"]["put"] if name.startswith("env/history/")}
    assert pages == {"env/history/recent", "env/history/in/64", "env/history/source/64"}
    sitting.move()
    assert sitting.run(
        "print(len(In), In[3], _i64, list(get_ipython().history_manager.get_range(0, 2, 4)))"
    ).text == ("68 x=2 x=63 [(0, 2, 'x=1'), (0, 3, 'x=2')]\n")
