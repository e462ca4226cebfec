"""One crowd for each policy."""

from collections.abc import Iterator

import pytest

from attacks.neighbours import Neighbours, living


@pytest.fixture(scope="module")
def neighbours() -> Iterator[Neighbours]:
    """A strict sandbox without network, with limits that are soon reached."""
    with living(process_memory=200_000_000, process_file=20_000_000, processes=80) as made:
        yield made
