"""Cells that attack: each must be stopped as the table says, and the neighbour must not notice."""

import re

import pytest

from attacks.neighbours import Neighbours
from attacks.table import EXCESS, FILES, KERNEL, NETWORK, PROCESSES, Attack


@pytest.fixture(scope="module")
def attacker(neighbours: Neighbours) -> str:
    return neighbours.attacker()


@pytest.mark.parametrize("attack", [*PROCESSES, *FILES, *KERNEL, *NETWORK], ids=lambda attack: attack.name)
def test_an_attack_is_refused(neighbours: Neighbours, attacker: str, attack: Attack) -> None:
    assert re.match(attack.error, neighbours.outcome(attacker, attack))
    neighbours.check()


@pytest.mark.parametrize("attack", EXCESS, ids=lambda attack: attack.name)
def test_excess_is_the_sessions_own_trouble(neighbours: Neighbours, attack: Attack) -> None:
    session = neighbours.attacker()
    assert re.match(attack.error, neighbours.outcome(session, attack))
    neighbours.check()
    neighbours.broker.http.delete(f"/v1/sessions/{session}").raise_for_status()
