"""A request does not wait for a look at everything: that is given up, with nothing left, and made later."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.state_lab import Bench, Sitting

PIECES = 32
"""Of a megabyte each, that a cell changes in a way that only a look at everything sees."""

MAKE = """
import ctypes, os
import numpy as np
from kernel_broker.worker.exchange import Exchange

def watched(give, armed, told, go):
    def put(self, name, data):
        give(self, name, data)
        if os.path.exists(armed):
            os.unlink(armed)
            open(told, 'w').close()
            open(go).close()
    return put

Exchange.put = watched(Exchange.put, {armed!r}, {told!r}, {go!r})
big = np.zeros(40_000_000)
where = big.ctypes.data
"""
CHANGE = f"ctypes.memmove(where, os.urandom({PIECES} << 20), {PIECES} << 20); open({{armed!r}}, 'w').close()"
SUM = "import zlib; print(zlib.crc32(big))"


class Watched:
    """A session of 320 MB whose worker waits, once, when a look at everything has found the first change."""

    def __init__(self, bench: Bench, folder: Path, idle: float) -> None:
        self.paths = {name: str(folder / name) for name in ("armed", "told", "go")}
        os.mkfifo(self.paths["told"])
        os.mkfifo(self.paths["go"])
        self.sitting = Sitting(bench, folder)
        self.sitting.birth = {"verify_idle": idle}
        self.sitting.run(MAKE.format(**self.paths))

    def change(self) -> None:
        self.sitting.run(CHANGE.format(**self.paths))

    def await_look(self) -> None:
        """Return when the look is under way, and waits."""
        with Path(self.paths["told"]).open():
            pass

    def go_on(self) -> None:
        with Path(self.paths["go"]).open("w"):
            pass


@pytest.fixture
def watched(bench: Bench, tmp_path: Path) -> Callable[[float], Watched]:
    return lambda idle: Watched(bench, tmp_path, idle)


def test_a_request_ends_the_look_and_is_answered(watched: Callable[[float], Watched]) -> None:
    it = watched(0.001)
    it.change()
    it.await_look()
    answer = it.sitting.run("small = 1", when_sent=it.go_on)
    assert answer.done["given_up"] == 1
    assert 0 < len(answer.chunks) < PIECES and not answer.done["commit"]["add"]
    assert not it.sitting.amendments
    found = it.sitting.await_amendment()
    assert len(found.chunks) == PIECES == len(found.done["commit"]["add"])
    shown = it.sitting.run(SUM)
    assert not shown.done["given_up"]
    it.sitting.move()
    assert it.sitting.run(SUM).text == shown.text
    assert it.sitting.run("print(small)").text == "1\n"


def test_a_request_that_changes_nothing_ends_it_too(watched: Callable[[float], Watched]) -> None:
    it = watched(0.001)
    it.change()
    it.await_look()
    answer = it.sitting.request("complete_request", {"code": "sma", "cursor_pos": 3}, when_sent=it.go_on)
    assert not it.sitting.amendments and 0 < len(answer.chunks) < PIECES
    assert len(it.sitting.await_amendment().chunks) == PIECES


def test_the_look_before_the_worker_ends_is_made_whatever_comes(watched: Callable[[float], Watched]) -> None:
    it = watched(0)
    it.change()
    it.sitting.verify()
    it.await_look()
    answer = it.sitting.run("small = 1", when_sent=it.go_on)
    (found,) = it.sitting.amendments
    assert len(found.chunks) == PIECES and not answer.chunks and not answer.done["given_up"]
