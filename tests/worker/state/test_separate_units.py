"""What shares nothing is stored apart, so that a change of one does not look at the other."""

from collections.abc import Iterator

import numpy
import pandas
import pytest
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell

from kernel_broker.worker.state.engine import StateEngine

FRAME = "import pandas as pd; two = pd.DataFrame({'s': ['a', 'b'] * 100, 'n': range(200)})"


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.setattr(HistoryManager.hist_file, "default_value", ":memory:")
    InteractiveShell.clear_instance()
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


@pytest.mark.parametrize(("second", "together"), [(FRAME, False), ("two = [one]", True)])
def test_frames_are_stored_together_only_if_they_share(
    shell: InteractiveShell, second: str, together: bool
) -> None:
    assert numpy and pandas  # as a zygote preloads them
    engine = StateEngine(shell, bytes(32))
    shell.run_cell(f"{FRAME.replace('two', 'one')}\n{second}", store_history=True).raise_error()
    assert not engine.capture(lambda _name, _data: None).pinned
    engine.acknowledge()
    units = engine._committed.units
    assert (units["v:one"] is units["v:two"]) is together
