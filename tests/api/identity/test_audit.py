"""The audit log, where a running broker cannot be made to fail."""

import json

import pytest
from starlette.types import Message, Receive, Scope, Send

from kernel_broker.api.identity.audit import Audit
from kernel_broker.sessions.ownership import Caller


async def test_a_call_that_a_bug_ends_is_noted_too(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a bug")

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None:
        """Nothing is sent."""

    scope = {"type": "http", "method": "POST", "state": {"caller": Caller("ann")}}
    with caplog.at_level("INFO", "kernel_broker.audit"), pytest.raises(RuntimeError):
        await Audit(fail)(scope, receive, send)
    noted = [json.loads(message) for message in caplog.messages]
    assert [(note["owner"], note["status"]) for note in noted] == [("ann", 500)]
