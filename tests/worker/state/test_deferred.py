"""Large variables are loaded when code first mentions them, and nobody can tell."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.state_lab import Bench, Sitting
from worker.state.programs import read
from worker.state.test_cases import PROGRAMS, run_both

SECTIONS = ("changes", "identity")
BIG = "import numpy as np; big = np.arange(400_000); other = np.ones(300_000); small = [1]"


@pytest.fixture(scope="module")
def late_bench() -> Iterator[Bench]:
    """A zygote whose workers put off whatever may be put off, however small."""
    bench = Bench(preface="from kernel_broker.worker.state import deferred; deferred.LARGE = 1")
    yield bench
    bench.close()


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name.partition(":")[0] in SECTIONS])
def test_programs_are_the_same_when_all_data_comes_late(late_bench: Bench, tmp_path: Path, name: str) -> None:
    run_both(late_bench, tmp_path, name)


def moved(bench: Bench, folder: Path, code: str = BIG) -> Sitting:
    sitting = Sitting(bench, folder)
    sitting.run(code)
    sitting.move()
    return sitting


def test_only_what_a_cell_mentions_is_fetched(bench: Bench, tmp_path: Path) -> None:
    sitting = moved(bench, tmp_path)
    assert sitting.run("small.append(2); print(small)").text == "[1, 2]\n"
    assert not sitting.fetched
    assert sitting.run("print(big.sum())").text == "79999800000\n"
    assert 3 <= len(sitting.fetched) <= 5
    sitting.move()
    assert sitting.run("print(small, other.sum(), big[-1])").text == "[1, 2] 300000.0 399999\n"


def test_expressions_of_a_front_end_load_what_they_mention_and_change_it(
    bench: Bench, tmp_path: Path
) -> None:
    sitting = moved(bench, tmp_path)
    answer = sitting.run("pass", expressions={"sum": "big.sum()", "change": "small.append(2)", "bad": "1 +"})
    found = {
        name: content.get("data", {}).get("text/plain", content["status"])
        for kind, told in answer.messages
        if kind == "execute_reply"
        for name, content in told["user_expressions"].items()
    }
    assert found == {"sum": "np.int64(79999800000)", "change": "None", "bad": "error"}
    sitting.move()
    assert sitting.run("print(small)").text == "[1, 2]\n"


@pytest.mark.parametrize(
    "code",
    [
        "print(globals()['big'].sum())",
        "print(eval('b' + 'ig').sum())",
        "def f(): return big\nprint(f().sum())",
        "%time print(big.sum())",
        "import pandas as pd; print(pd.eval('big + 0').sum())",
        "print(sorted(k for k in dir() if k in ('big', 'other', 'small')), big.sum())",
        "print([v for k, v in vars().items() if k == 'big'][0].sum())",
        "class A:\n    s = big.sum()\nprint(A.s)",
        "import sys; print(sys.modules['__main__'].big.sum())",
        "from __main__ import big as b; print(b.sum())",
    ],
)
def test_every_way_to_a_variable_finds_it(bench: Bench, tmp_path: Path, code: str) -> None:
    assert "79999800000" in moved(bench, tmp_path).run(code).text


def test_functions_and_hooks_find_what_they_use(bench: Bench, tmp_path: Path) -> None:
    code = f"{BIG}\ndef use(): return big.sum()\ndef deeper(): return use()"
    assert moved(bench, tmp_path, code).run("print(deeper())").text == "79999800000\n"
    hook = f"{BIG}\ndef hook(*_): small.append(int(big[-1]))\n"
    hook += "get_ipython().events.register('pre_run_cell', hook)"
    assert moved(bench, tmp_path, hook).run("print(small)").text == "[1, 399999]\n"


def test_names_keep_their_order_and_can_be_bound_anew(bench: Bench, tmp_path: Path) -> None:
    sitting = moved(bench, tmp_path)
    assert sitting.run("other = 5; del big").error is None
    sitting.move()
    shown = sitting.run(
        "print([n for n in list(globals()) if n in ('np','big','other','small')], other)"
    ).text
    assert shown == "['np', 'other', 'small'] 5\n"


def test_completion_and_inspection_know_what_waits(bench: Bench, tmp_path: Path) -> None:
    sitting = moved(bench, tmp_path)
    names = sitting.request("complete_request", {"code": "bi", "cursor_pos": 2})
    assert "big" in dict(names.messages)["complete_reply"]["matches"] and not sitting.fetched
    members = sitting.request("complete_request", {"code": "big.argm", "cursor_pos": 8})
    assert any("argmax" in match for match in dict(members.messages)["complete_reply"]["matches"])
    shown = sitting.request("inspect_request", {"code": "other", "cursor_pos": 5, "detail_level": 0})
    assert "ndarray" in str(dict(shown.messages)["inspect_reply"]["data"])


def test_aliases_of_what_waits_stay_aliases(bench: Bench, tmp_path: Path) -> None:
    sitting = moved(bench, tmp_path, "big = list(range(500_000)); alias = big; small = {}")
    assert sitting.run("small['b'] = big").error is None
    sitting.move()
    assert sitting.run("print(small['b'] is alias, alias is big, len(big))").text == "True True 500000\n"


def test_the_sections_exist() -> None:
    assert all(read(section) for section in SECTIONS)
