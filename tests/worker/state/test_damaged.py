"""Bytes that the store has lost cost the variables that need them, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from fixtures.state_lab import Bench, Sitting
from kernel_broker.wire.records import split_page, split_record

WAYS = ("damaged", "missing")
TEXT = {
    "damaged": "has a part that is damaged in the store",
    "missing": "has a part that is missing from the store",
}
ROWS = "rows = [{'n': n, 'text': str(n) * 5} for n in range(2000)]"


def headers(sitting: Sitting) -> list[dict[str, Any]]:
    pages = [data for name, data in sitting.entries.items() if name.startswith("units/")]
    return [split_record(record)[0] for page in pages for record in split_page(page)]


def chunks_of(sitting: Sitting, label: str) -> list[str]:
    """The chunks of the unit that has a label."""
    (head,) = [head for head in headers(sitting) if label in head["labels"]]
    parts = [head.get("stream", (0, [])), *head.get("blobs", ()), *head.get("buffers", ())]
    return [name for _, names in parts for name in names]


def harm(sitting: Sitting, names: list[str], way: str) -> None:
    """What a bad disk does."""
    for name in names:
        if way == "missing":
            del sitting.chunks[name]
        else:
            data = bytearray(sitting.chunks[name])
            data[len(data) // 2] ^= 1
            sitting.chunks[name] = bytes(data)


def harmed(bench: Bench, folder: Path, cells: list[str], label: str, way: str, which: int = 0) -> Sitting:
    sitting = Sitting(bench, folder)
    for cell in cells:
        sitting.run(cell)
    sitting.move()
    harm(sitting, [chunks_of(sitting, label)[which]], way)
    return sitting


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("cell", "variable", "kind", "use"),
    [
        (ROWS, "rows", "list", "len(rows)"),
        ("import numpy as np; a = np.arange(5e4)", "a", "numpy.ndarray", "a.sum()"),
        ("import numpy as np; a = np.arange(5e5)", "a", "numpy.ndarray", "a.sum()"),
        ("import pandas as pd; t = pd.DataFrame({'x': range(9000)})", "t", "pandas.DataFrame", "t.x"),
        ("import pandas as pd; t = pd.DataFrame({'x': range(300000)})", "t", "pandas.DataFrame", "t.x"),
        ("s = 'word ' * 9000", "s", "str", "s.upper()"),
        ("import numpy as np\nclass K:\n    pass\nk = K(); k.a = np.arange(5e4)", "k", "K", "k.a"),
    ],
)
def test_one_variable_is_lost_and_the_others_are_there(
    bench: Bench, tmp_path: Path, cell: str, variable: str, kind: str, use: str, way: str
) -> None:
    sitting = harmed(bench, tmp_path, ["keep = [1]; also = keep", cell], f"v:{variable}", way, -1)
    first = sitting.run("keep.append(2); print(keep, also is keep)")
    assert first.text == "[1, 2] True\n"
    loss = f"'{variable}': {kind} made in cell [2] {TEXT[way]}; re-run cell 2"
    assert sitting.run(use).error == f"StateLost: {loss}"
    assert sitting.run(variable).text == f"<<lost: {loss}>>"
    sitting.move()
    assert sitting.run(use).error == f"StateLost: {loss}"
    assert not sitting.lost
    assert sitting.run("print(keep)").text == "[1, 2]\n"


@pytest.mark.parametrize("way", WAYS)
def test_what_is_lost_is_told_once_with_the_way_back(bench: Bench, tmp_path: Path, way: str) -> None:
    sitting = harmed(bench, tmp_path, ["keep = 1", ROWS], "v:rows", way)
    told = sitting.run("keep").done
    assert [pin["name"] for pin in sitting.lost] == ["rows"]
    assert told["notices"] == told["shown"] and len(told["notices"]) == 1
    assert f"'rows' (list) {TEXT[way]}" in told["notices"][0] and "%checkout N" in told["notices"][0]
    assert not told["pinned"]
    assert not sitting.run("keep").done["notices"]


def test_what_is_lost_is_not_stored_as_lost_before_it_was_told(bench: Bench, tmp_path: Path) -> None:
    text = "x" * 20_000
    cell = f"{ROWS}\nclass K:\n    '{text}'\nk = K()"
    sitting = harmed(bench, tmp_path, [cell], "v:rows", "missing")
    harm(sitting, chunks_of(sitting, "d:1"), "missing")
    sitting.request("complete_request", {"code": "ro", "cursor_pos": 2})
    sitting.verify()
    sitting.await_verified()
    sitting.move()
    (notice,) = sitting.run("1").done["notices"]
    assert "'rows' (list)" in notice and "'K' (type)" in notice


def test_what_is_found_lost_between_cells_is_told_by_the_next(bench: Bench, tmp_path: Path) -> None:
    cell = "import numpy as np; big = np.arange(400_000); small = [1]"
    sitting = harmed(bench, tmp_path, [cell], "v:big", "missing")
    assert not sitting.run("small.append(2)").done["notices"]
    sitting.request("inspect_request", {"code": "big", "cursor_pos": 3, "detail_level": 0})
    sitting.verify()
    sitting.await_amendment()
    assert "'big' (numpy.ndarray)" in sitting.run("1").done["notices"][0]
    assert not sitting.run("1").done["notices"]


@pytest.mark.parametrize("way", WAYS)
def test_a_late_variable_is_lost_when_it_is_mentioned(bench: Bench, tmp_path: Path, way: str) -> None:
    cell = "import numpy as np; big = np.arange(400_000); other = np.ones(300_000); small = [1]"
    sitting = harmed(bench, tmp_path, [cell], "v:big", way)
    assert not sitting.run("print(small)").done["notices"]
    answer = sitting.run("print(other.sum()); small.append(2); big.sum()")
    assert answer.text.startswith("300000.0\n")
    assert answer.error == f"StateLost: 'big': numpy.ndarray made in cell [1] {TEXT[way]}; re-run cell 1"
    assert "'big'" in answer.done["notices"][0] and "'other'" not in answer.done["notices"][0]
    sitting.move()
    assert sitting.run("print(small, other.sum())").text == "[1, 2] 300000.0\n"
    assert sitting.run("big.sum()").error == answer.error


@pytest.mark.parametrize("way", WAYS)
def test_running_the_cell_again_brings_the_same_bytes_back_for_good(
    bench: Bench, tmp_path: Path, way: str
) -> None:
    cell = "import numpy as np; big = np.arange(400_000); twin = np.arange(400_000)"
    sitting = harmed(bench, tmp_path, [cell, ROWS], "v:big", way)
    name = chunks_of(sitting, "v:big")[0]
    again = sitting.run("big = np.arange(400_000)")
    assert name in again.chunks and name in again.done["commit"]["add"]
    sitting.move()
    assert sitting.run("print(big.sum(), twin.sum(), len(rows))").text == "79999800000 79999800000 2000\n"


@pytest.mark.parametrize("way", WAYS)
def test_a_class_that_is_lost_takes_its_objects_along(bench: Bench, tmp_path: Path, way: str) -> None:
    text = "x" * 20_000
    cell = f"class K:\n    'A {text}'\n    n = 1\nclass L(K): pass\nk = K(); l = [L(), 5]; d = {{'k': k}}"
    sitting = harmed(bench, tmp_path, ["class M: pass\nm = M()", cell], "d:2", way)
    assert sitting.run("print(l[1], sorted(d), type(m).__name__)").text == "5 ['k'] M\n"
    for use in ("K.n", "k.n", "d['k'].n"):
        assert (sitting.run(use).error or "").startswith("StateLost: 'K': type "), use
    assert TEXT[way] in (sitting.run("k.n").error or "")
    sitting.run(f"class K:\n    'A {text}'\n    n = 2\nk = K()")
    sitting.move()
    assert sitting.run("print(K.n, k.n, type(k) is K, l[1])").text == "2 2 True 5\n"


@pytest.mark.parametrize("way", WAYS)
def test_nothing_half_made_is_left_of_a_class_and_what_it_holds(
    bench: Bench, tmp_path: Path, way: str
) -> None:
    cell = (
        "import numpy as np\nclass K:\n    table = np.arange(5e4)\n    def f(self): return 1\n"
        "class N: pass\nk = K(); k.n = N(); n = N(); tables = {'t': K.table}"
    )
    sitting = harmed(bench, tmp_path, [cell], "v:tables", way, -1)
    assert sitting.run("print(type(n).__name__, N().__class__ is type(n))").text == "N True\n"
    for use in ("K.f", "K.table", "k.f()", "tables['t']"):
        assert (sitting.run(use).error or "").startswith("StateLost: '"), use
    sitting.move()
    assert sitting.run("print(type(n) is N)").text == "True\n"
    assert (sitting.run("k.f()").error or "").startswith("StateLost: '")


INSIDE = (
    "import numpy as np\nclass K:\n    table = np.arange(5e4)\n    def __init__(self, n): self.n = str(n)\n"
    "l = [K(n) for n in range(20_000)]; k = l[0]; del K"
)
"""While a list comes in pieces, its class asks for a piece of its own."""


def test_what_comes_in_pieces_waits_for_what_it_refers_to(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run(INSIDE)
    assert len(chunks_of(sitting, "v:l")) > 2 and chunks_of(sitting, "d:1")
    sitting.move()
    assert (
        sitting.run("print(l[-1].n, len(l), k is l[0], k.table.sum())").text
        == "19999 20000 True 1249975000.0\n"
    )
    assert len(sitting.fetched) == len(set(sitting.fetched)) and not sitting.lost


@pytest.mark.parametrize("way", WAYS)
def test_a_piece_that_is_lost_does_not_cost_what_was_asked_for_meanwhile(
    bench: Bench, tmp_path: Path, way: str
) -> None:
    sitting = harmed(bench, tmp_path, [INSIDE, "also = [type(k)(5)]"], "v:l", way, -1)
    assert sitting.run("print(also[0].n, also[0].table.sum())").text == "5 1249975000.0\n"
    assert sitting.run("l[0]").error == f"StateLost: 'l': list made in cell [1] {TEXT[way]}; re-run cell 1"


@pytest.mark.parametrize("way", WAYS)
def test_results_are_lost_like_variables(bench: Bench, tmp_path: Path, way: str) -> None:
    sitting = harmed(bench, tmp_path, ["[str(n) * 9 for n in range(5000)]", "1 + 1"], "o:1", way)
    assert sitting.run("print(Out[2], _2)").text == "2 2\n"
    assert sitting.run("_1[0]").error == (
        f"StateLost: 'Out[1]': object made in cell [1] {TEXT[way]}; re-run cell 1"
    )


@pytest.mark.parametrize("way", WAYS)
def test_without_its_shape_the_namespace_is_still_there(bench: Bench, tmp_path: Path, way: str) -> None:
    many = "for n in range(1500): globals()[f'variable_{n}'] = n"
    sitting = harmed(bench, tmp_path, ["b = 1; a = [2]; del In", many], "n:namespace", way)
    told = sitting.run("print(a, b, variable_77, sorted(k for k in dir() if k in 'ab'))")
    assert told.text == "[2] 1 77 ['a', 'b']\n"
    assert f"'namespace' (setting of the session) {TEXT[way]}" in told.done["notices"][0]
    sitting.run("c = 3")
    sitting.move()
    assert sitting.run("print(a, c, [n for n in globals() if n in 'abc'][-1])").text == "[2] 3 c\n"
    assert not sitting.lost


@pytest.mark.parametrize("way", WAYS)
def test_a_setting_that_is_lost_is_as_in_a_fresh_process(bench: Bench, tmp_path: Path, way: str) -> None:
    cell = "import json; json.table = {str(n): n for n in range(5000)}; keep = [1]"
    sitting = harmed(bench, tmp_path, [cell], "e:changes to libraries", way)
    told = sitting.run("print(keep, hasattr(json, 'table'))")
    assert told.text == "[1] False\n"
    assert f"'changes to libraries' (setting of the session) {TEXT[way]}" in told.done["notices"][0]
    sitting.move()
    assert sitting.run("print(keep)").text == "[1]\n" and not sitting.lost


@pytest.mark.parametrize("way", WAYS)
def test_small_values_that_are_stored_together_are_lost_together(
    bench: Bench, tmp_path: Path, way: str
) -> None:
    cell = "; ".join(f"t{n} = '{n}' * 900" for n in range(20)) + "; big = list(range(9))"
    sitting = harmed(bench, tmp_path, [cell], "v:t3", way)
    assert sitting.run("print(big[-1])").text == "8\n"
    sitting.move()
    assert not sitting.run("pass").done["notices"] and not sitting.lost
    assert sitting.run("t3 + ''").error == f"StateLost: 't3': str made in cell [1] {TEXT[way]}; re-run cell 1"
    sitting.run("t3 = 'new'")
    sitting.move()
    assert sitting.run("print(t3, len(big))").text == "new 9\n" and not sitting.lost
    assert (sitting.run("t4 + ''").error or "").startswith("StateLost: 't4': str made in cell [1]")


def test_a_lost_variable_is_listed_as_what_it_was(bench: Bench, tmp_path: Path) -> None:
    from kernel_broker.wire.records import variables

    sitting = harmed(bench, tmp_path, ["keep = 1", ROWS], "v:rows", "missing")
    sitting.run("keep = 2")
    (row,) = [row for row in variables(sitting.entries) if row["name"] == "rows"]
    assert (row["type"], row["preview"], row["cell"]) == ("list", "lost", 2)


@pytest.mark.parametrize("cell", ["big.sum()", "print(small)"])
def test_a_store_that_does_not_answer_costs_nothing(bench: Bench, tmp_path: Path, cell: str) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run("import numpy as np; big = np.arange(400_000); small = [1]")
    sitting.move()
    sitting.run("small.append(2)")
    sitting.unreachable = "the store does not answer"
    answer = sitting.run(cell)
    if "big" in cell:
        assert answer.error == "StateUnavailable: the store does not answer" and not answer.done["notices"]
    sitting.unreachable = None
    assert sitting.run("print(small, big.sum())").text == "[1, 2] 79999800000\n"


def test_a_store_that_fails_while_a_unit_is_salvaged_costs_nothing(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run("class K:\n    n = 1\n    def __setstate__(self, state): raise KeyError\nk = K(); k.n = 2")
    sitting.run("import numpy as np; both = {'k': k, 'a': np.arange(5e4)}; keep = [1]")
    kept, sitting.entries = dict(sitting.entries), dict(sitting.entries)
    sitting.move()
    sitting.unreachable = "the store does not answer"
    assert sitting.refusal() == "the store does not answer"
    assert sitting.entries == kept
