"""What shares nothing is stored apart, so that a change of one does not look at the other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy
import pandas
import pytest
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell

from kernel_broker.worker.state.engine import StateEngine
from kernel_broker.worker.state.graph import Dumped, GraphWriter, Root
from kernel_broker.worker.state.reach import NOWHERE
from kernel_broker.worker.state.units import Unit

FRAME = "import pandas as pd; two = pd.DataFrame({'s': ['a', 'b'] * 100, 'n': range(200)})"
MANY = "class P: pass\nmany = [P() for _ in range(4000)]; one = [[1], P()]"


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.setattr(HistoryManager.hist_file, "default_value", ":memory:")
    InteractiveShell.clear_instance()
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


@pytest.fixture
def engine(shell: InteractiveShell) -> StateEngine:
    assert numpy and pandas  # as a zygote preloads them
    return StateEngine(shell, bytes(32))


def run(shell: InteractiveShell, engine: StateEngine, code: str) -> Mapping[str, Unit]:
    """The units after a cell."""
    shell.run_cell(code, store_history=True).raise_error()
    assert not engine.capture(lambda _name, _data: None).pinned
    engine.acknowledge()
    return engine._committed.units


@pytest.mark.parametrize(("second", "together"), [(FRAME, False), ("two = [one]", True)])
def test_frames_are_stored_together_only_if_they_share(
    shell: InteractiveShell, engine: StateEngine, second: str, together: bool
) -> None:
    units = run(shell, engine, f"{FRAME.replace('two', 'one')}\n{second}")
    assert (units["v:one"] is units["v:two"]) is together


def test_what_is_bound_again_leaves_the_many(shell: InteractiveShell, engine: StateEngine) -> None:
    run(shell, engine, "; ".join(f"a{number} = {number}" for number in range(20)))
    assert len(run(shell, engine, "pass")["v:a7"].labels) >= 20
    units = run(shell, engine, "a7 = 'again'")
    assert units["v:a7"] is not units["v:a8"]
    units = run(shell, engine, "a7 = 'and again'; new = 1")
    assert units["v:a7"] is units["v:new"]  # few, so there is room
    before = units["v:a8"]
    assert run(shell, engine, "a7 = 'once more'")["v:a8"] is before


def test_new_atoms_join_the_few(shell: InteractiveShell, engine: StateEngine) -> None:
    for number in range(30):
        units = run(shell, engine, f"a{number} = {number}")
    homes = {id(unit) for unit in units.values() if unit.atoms}
    assert len(homes) <= 8


@pytest.mark.parametrize(
    ("link", "together"),
    [
        ("pass", False),
        ("many[7].it = one", True),
        ("many[7].it = one[0]", True),
        ("one.append(many[3])", True),
        ("import weakref; many[7].it = weakref.ref(one[1])", True),
        ("def f(x):\n    return lambda: x\nmany[7].it = f(one[0])", True),
        ("many[7].it = list(one[0])", False),
    ],
)
@pytest.mark.parametrize("cells", [1, 2])
def test_little_is_stored_with_much_only_if_they_share(
    shell: InteractiveShell, engine: StateEngine, link: str, together: bool, cells: int
) -> None:
    """Whichever way an object of the one is known to the other, and whether they were stored before."""
    if cells == 2:
        run(shell, engine, MANY)
    units = run(shell, engine, link if cells == 2 else f"{MANY}\n{link}")
    assert (units["v:one"] is units["v:many"]) is together


def test_short_lists_are_packed_until_they_share(shell: InteractiveShell, engine: StateEngine) -> None:
    units = run(shell, engine, "a, b, c, d = [1], [2], {'k': 3}, {4}; e = a")
    assert units["v:b"] is units["v:c"] is units["v:d"] is not units["v:a"]
    assert units["v:b"].packed
    assert units["v:a"] is units["v:e"] and not units["v:a"].packed

    units = dict(run(shell, engine, "b.append(a)"))
    assert units["v:a"] is units["v:b"] is units["v:e"]
    assert not {units["v:c"], units["v:d"]} & {units["v:a"]}
    assert not units["v:a"].packed

    before = units["v:a"]
    assert run(shell, engine, "d.add(5)")["v:a"] is before


def test_only_who_keeps_the_namespace_may_change_all_of_it_in_any_cell(
    shell: InteractiveShell, engine: StateEngine
) -> None:
    run(shell, engine, "globals()['y'] = 2; kept = None")
    assert not engine._holders.any_after(NOWHERE)
    run(shell, engine, "kept = [globals()]")
    assert engine._holders.any_after(NOWHERE)
    run(shell, engine, "kept = None; globals()['y'] = 3")
    assert not engine._holders.any_after(NOWHERE)


@pytest.mark.parametrize("cells", [1, 2])
def test_what_belongs_to_much_is_not_written_twice(
    shell: InteractiveShell, engine: StateEngine, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[list[str]] = []
    attempt = GraphWriter._attempt

    def note(writer: GraphWriter, roots: Sequence[Root], *rest: Any, **more: Any) -> Dumped:
        written.append([root.label for root in roots])
        return attempt(writer, roots, *rest, **more)

    monkeypatch.setattr(GraphWriter, "_attempt", note)
    parts = ["import matplotlib.pyplot as plt", "figure, axes = plt.subplots(2, 2); ax = axes[0, 0]"]
    for part in ["\n".join(parts)] if cells == 1 else parts:
        units = run(shell, engine, f"{part}\nplt.close('all')")
    assert units["v:figure"] is units["v:axes"] is units["v:ax"]
    assert len([labels for labels in written if {"v:figure", "v:axes", "v:ax"} & {*labels}]) == 1
