"""The same attacks under other rules. With the sandbox off they succeed: it is what stops them."""

import re
from collections.abc import Iterator

import pytest

from attacks.neighbours import Neighbours, living
from attacks.table import DENIED, FILES, KERNEL, LIST, NETWORK, PROCESSES, Attack

SHOWN = [attack for attack in (*PROCESSES, *FILES, *KERNEL, *NETWORK) if attack.succeeds]


@pytest.fixture(scope="module")
def unguarded() -> Iterator[Neighbours]:
    with living(sandbox="off") as made:
        yield made


@pytest.fixture(scope="module")
def intruder(unguarded: Neighbours) -> str:
    return unguarded.attacker()


@pytest.mark.parametrize("attack", SHOWN, ids=lambda attack: attack.name)
def test_without_a_sandbox_it_succeeds(unguarded: Neighbours, intruder: str, attack: Attack) -> None:
    assert unguarded.outcome(intruder, attack) == "it succeeded"


@pytest.fixture(scope="module")
def connected() -> Iterator[Neighbours]:
    with living(ports=True) as made:
        yield made


@pytest.fixture(scope="module")
def visitor(connected: Neighbours) -> str:
    return connected.attacker()


def test_a_listed_port_is_reached(connected: Neighbours, visitor: str) -> None:
    connected.broker.text(visitor, "socket.create_connection(('127.0.0.1', port)).close()")


@pytest.mark.parametrize("attack", LIST, ids=lambda attack: attack.name)
def test_nothing_but_listed_ports_is_reached(connected: Neighbours, visitor: str, attack: Attack) -> None:
    assert re.match(attack.error, connected.outcome(visitor, attack))
    connected.check()


def test_standard_keeps_processes_apart_and_leaves_files_alone() -> None:
    with living(sandbox="standard") as made:
        session = made.attacker()
        for attack in (*PROCESSES, *KERNEL):
            if attack.name not in FILES_ARE_NOT_GUARDED:
                assert re.match(attack.error, made.outcome(session, attack)), attack.name
        files = {attack.name: attack for attack in FILES}
        assert made.outcome(session, files["a sibling's file"]) == "it succeeded"
        networks = {attack.name: attack for attack in NETWORK}
        assert made.outcome(session, networks["the store's port"]) == "it succeeded"
        assert re.match(DENIED, made.outcome(session, networks["an abstract socket"]))
        made.check()


FILES_ARE_NOT_GUARDED = frozenset({
    "descriptors of a sibling", "command line of a sibling", "all processes", "new rules over old ones",
})  # fmt: skip
"""They read files, if only those of /proc, and find no more there than names."""
