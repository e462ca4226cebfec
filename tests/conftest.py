"""What every room's tests may use."""

import pytest

pytest_plugins = [
    "fixtures.redis_server",
    "fixtures.broker",
    "fixtures.state_lab",
    "fixtures.kernel",
    "fixtures.hub",
    "fixtures.people",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What computes longest goes first, beside all that waits."""
    items.sort(key=lambda item: "test_generated" not in item.nodeid)
