"""JSON web tokens, as an OpenID Connect provider issues them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt

from kernel_broker.api.identity.contract import named, refused
from kernel_broker.api.identity.key_set import Jwk, KeySet
from kernel_broker.sessions.ownership import Caller

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Those whose verifying key cannot sign. With others, who knows the public key could make tokens."""
_LEEWAY: Final = 30
"""Seconds that the issuer's clock may be off."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token must say, and where it says who asks. Claims in claims are named with dots."""

    issuer: str
    audience: str
    owner: str = "sub"
    admin: str = ""
    """`claim` (true for admins) or `claim=value` (the claim is the value, or a list that has it)."""


class WebTokens:
    """Tokens signed with one of the issuer's keys, made for this broker, and not expired."""

    def __init__(self, keys: KeySet, claims: Claims) -> None:
        self._keys = keys
        self._claims = claims

    async def identify(self, token: str) -> Caller | None:
        """The owner that the token names; None for what is no such token."""
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, RecursionError):  # the latter of nested JSON
            return None
        algorithm, key_id = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise refused(f"the token's algorithm is none of {', '.join(sorted(ALGORITHMS))}")
        key = await self._keys.find(key_id)
        if key is None or key.get("alg", algorithm) != algorithm:
            raise refused("the token is signed with a key that its issuer does not have; get a new one")
        return self._read(_verify(token, key, algorithm, self._claims))

    def _read(self, claims: Mapping[str, Any]) -> Caller:
        owner = _find(claims, self._claims.owner)
        if owner is None:
            raise refused(f"the token has no claim {self._claims.owner!r}")
        name, _, value = self._claims.admin.partition("=")
        said = _find(claims, name) if name else None
        is_admin = said is True if not value else said == value or (isinstance(said, list) and value in said)
        return named(owner, is_admin)

    async def close(self) -> None:
        """Let go of the keys' connections."""
        await self._keys.close()


def _verify(token: str, key: Jwk, algorithm: str, wanted: Claims) -> dict[str, Any]:
    try:
        return jwt.decode(
            token,
            jwt.PyJWK(dict(key), algorithm),
            algorithms=[algorithm],
            audience=wanted.audience,
            issuer=wanted.issuer,
            leeway=_LEEWAY,
            options={"require": ["exp", "iss", "aud"]},
        )
    except jwt.ExpiredSignatureError:
        raise refused("the token has expired; get a new one") from None
    except (jwt.PyJWTError, ValueError, RecursionError) as error:  # of a damaged key, of nested claims
        raise refused(f"the token is not valid here: {error}") from None


def _find(claims: Mapping[str, Any], name: str) -> Any:
    """A claim of the exact name, or the one that its dotted parts lead to."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
