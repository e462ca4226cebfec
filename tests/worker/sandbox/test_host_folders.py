"""A strict sandbox around sessions that work in folders of the host: each has the one it names."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fixtures.broker import Broker


@pytest.fixture(scope="module")
def hosting() -> Iterator[Broker]:
    broker = Broker(sandbox="strict", spares=1, preload="")
    broker.start()
    yield broker
    broker.destroy()


def test_a_session_has_its_folder_and_no_other(hosting: Broker, tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.mkdir(), other.mkdir()
    (other / "secret").write_text("secret")
    session = hosting.create(cwd=str(mine))
    hosting.text(session, "import os; open('f', 'w').write('x'); None")
    assert (mine / "f").read_text() == "x"
    assert hosting.execute(session, f"open('{other}/secret')").json()["error"]["ename"] == "PermissionError"


@pytest.mark.parametrize(
    "choose",
    [
        lambda broker: broker.home,
        lambda _: Path("/"),
        lambda _: Path("/nowhere"),
        lambda _: Path("/etc"),
        lambda _: Path(sys.prefix) / "lib",
        lambda _: Path.home(),
    ],
)
def test_a_folder_of_the_broker_or_of_the_machine_is_not_opened(
    hosting: Broker, choose: Callable[[Broker], Path]
) -> None:
    session = hosting.create(cwd=str(choose(hosting)))
    result = hosting.execute(session, "import os; print(os.getcwd())").json()
    assert "the sandbox does not open the working directory" in json.dumps(result)
    assert (
        hosting.execute(session, f"open('{hosting.home}/store.db')").json()["error"]["ename"]
        == "PermissionError"
    )


def test_without_a_folder_it_works_in_one_of_its_own(hosting: Broker) -> None:
    session = hosting.create()
    assert hosting.text(session, "import os; open('f', 'w').close(); print(os.listdir('.'))") != ""
