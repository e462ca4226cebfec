"""Every test here leaves no thread and no descriptor behind."""

import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import LoopbackBroker


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    threads, descriptors = set(threading.enumerate()), _descriptors()
    yield
    gc.collect()
    left = [thread for thread in threading.enumerate() if thread not in threads]
    assert not left, f"threads left behind: {left}"
    assert _descriptors() <= descriptors, "descriptors left behind"


@pytest.fixture
def broker() -> Iterator[LoopbackBroker]:
    with LoopbackBroker() as broker:
        yield broker


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
