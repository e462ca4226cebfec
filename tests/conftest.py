"""What every room's tests may use."""

pytest_plugins = ["fixtures.redis_server", "fixtures.broker", "fixtures.state_lab", "fixtures.kernel"]
