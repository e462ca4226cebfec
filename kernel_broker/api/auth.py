"""Who is asking: a bearer token opens everything, or, without one, whoever reaches the socket."""

import secrets
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from kernel_broker.errors import BrokerError

OWNER = "default"

_bearer = HTTPBearer(auto_error=False, description="the broker's token")


async def owner(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> str:
    """The owner in whose name the request acts; raises 401."""
    token: str | None = request.app.state.token
    if token is None:
        return OWNER
    if given is None:
        raise BrokerError("send the broker's token as 'Authorization: Bearer …'", code="unauthorized")
    if not secrets.compare_digest(given.credentials.encode(), token.encode()):
        raise BrokerError("the token is not this broker's", code="unauthorized")
    return OWNER


Owner = Annotated[str, Depends(owner)]
