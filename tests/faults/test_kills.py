"""A short campaign of kills on each store; `python -m tests.faults.kills` has longer ones."""

import shutil

import pytest

from tests.faults.kills import campaign


@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_a_session_survives_every_kill(store: str) -> None:
    if store == "redis" and shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    wrong, account = campaign(store, kills=60, sessions=8)
    assert not wrong, account
