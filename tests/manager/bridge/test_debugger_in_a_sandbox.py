"""The debugger talks TCP to itself: in a strict sandbox it needs an open network, and says so."""

from collections.abc import Callable

import pytest

from fixtures.broker import Broker
from fixtures.kernel import running_kernel

_INITIALIZE = {
    "type": "request",
    "seq": 1,
    "command": "initialize",
    "arguments": {"clientID": "test", "adapterID": "python", "pathFormat": "path"},
}


@pytest.mark.parametrize("network", ["open", "none"])
def test_it_starts_or_says_why_not(
    make_broker: Callable[..., Broker], kernelspecs: object, monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    broker = make_broker(sandbox="strict", network=network, token="t")
    monkeypatch.setenv("SERVERLESS_KERNEL_URL", broker.url)
    monkeypatch.setenv("SERVERLESS_KERNEL_TOKEN", "t")
    with running_kernel() as kernel:
        kernel.run("x = 1")
        reply = kernel.ask("control", "debug_request", _INITIALIZE)
        assert reply["success"] is (network == "open")
        if network == "none":
            assert "KERNEL_BROKER_NETWORK must be open" in reply["message"]
        assert kernel.run("x + 1").result == "2"
