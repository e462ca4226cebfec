"""The caller, for routes: the door has told it; here the OpenAPI document learns of the token."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from kernel_broker.sessions.ownership import Caller

_bearer = HTTPBearer(auto_error=False, description="a token that says who asks")


def _caller(
    request: Request,
    _: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    found: Caller = request.state.caller
    return found


CallerOf = Annotated[Caller, Depends(_caller)]
