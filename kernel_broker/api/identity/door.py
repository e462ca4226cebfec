"""The door: before anything of a request is read, who asks is known, or the request is refused."""

from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from kernel_broker.api.identity.contract import Way, refused
from kernel_broker.api.problems import to_response
from kernel_broker.errors import BrokerError
from kernel_broker.sessions.ownership import Caller
from kernel_broker.wire.identity import DEFAULT_OWNER, is_loopback

PUBLIC: Final = frozenset({"/livez", "/readyz", "/metrics", "/docs", "/openapi.json"})
"""What everybody may see. A route that is not named here is closed to those who are not known."""
_SECRETS_IN_URLS: Final = frozenset({"token", "access_token", "auth_token", "api_key"})


class Door:
    """ASGI middleware: puts the `Caller` in the request's state.

    Without ways to tell, everybody is the default owner. `local_only`: then only programs of this machine are
    meant, so a request that a web page sends through its user's browser is refused.
    """

    def __init__(
        self, app: ASGIApp, ways: Sequence[Way], count: Callable[[Caller], None], local_only: bool
    ) -> None:
        self._app = app
        self._ways = ways
        self._count = count
        self._local_only = local_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer with the refusal."""
        if scope["type"] == "http":
            try:
                _refuse_secrets_in(scope["query_string"])
                if scope["path"] not in PUBLIC:
                    caller = await self._identify(Headers(scope=scope))
                    scope.setdefault("state", {})["caller"] = caller
                    self._count(caller)
            except BrokerError as error:
                await to_response(error.problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _identify(self, headers: Headers) -> Caller:
        if not self._ways:
            if self._local_only:
                _refuse_web_pages(headers)
            return Caller(DEFAULT_OWNER)
        token = _read_token(headers)
        for way in self._ways:
            caller = await way.identify(token)
            if caller is not None:
                return caller
        raise refused("the token is not known here")


def _read_token(headers: Headers) -> str:
    given = headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise refused("send your token as 'Authorization: Bearer …'")
    try:
        return token.strip().encode("latin-1").decode()  # as it was sent
    except UnicodeDecodeError:
        raise refused("the token is not UTF-8") from None


def _refuse_secrets_in(query: bytes) -> None:
    names = {name.lower() for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)}
    if names & _SECRETS_IN_URLS:
        raise BrokerError(
            "a token does not belong in a URL, which ends up in logs: send it as 'Authorization: Bearer …'",
            code="bad_request",
        )


def _refuse_web_pages(headers: Headers) -> None:
    """Of another site, in the browser of somebody here: by its name for this address, or by its origin."""
    host = headers.get("host", "")
    if not is_loopback(_name_in(host)):
        told = f"this broker asks for no token and answers to this machine only, not to the name {host!r}"
    elif headers.get("origin", f"http://{host}") not in (f"http://{host}", f"https://{host}"):
        told = "this broker asks for no token, so web pages of other origins are refused"
    else:
        return
    advice = (
        "give it a token (KERNEL_BROKER_TOKEN), or set KERNEL_BROKER_AUTH=none if what is in front decides"
    )
    raise BrokerError(f"{told}; {advice}", code="forbidden")


def _name_in(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:  # half of an IPv6 address
        return ""
