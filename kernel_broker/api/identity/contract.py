"""What every way to tell who asks has in common."""

from typing import Protocol

from kernel_broker.errors import BrokerError
from kernel_broker.sessions.ownership import Caller
from kernel_broker.wire.identity import OWNER_RULE, is_valid_owner


class Way(Protocol):
    """A way to tell whose a token is."""

    async def identify(self, token: str) -> Caller | None:
        """Whose it is; None if it is not of this way.

        Raises a `BrokerError`: `unauthorized` or `forbidden` if it is of this way and does not open, and
        `identity_unavailable` if that cannot be found out now.
        """

    async def close(self) -> None:
        """Let go of connections."""


def refused(reason: str) -> BrokerError:
    """What is said of a token that does not open."""
    return BrokerError(reason, code="unauthorized")


def named(owner: object, is_admin: bool) -> Caller:
    """The caller that somebody else's word names; a name that cannot be an owner's is refused."""
    if not isinstance(owner, str) or not is_valid_owner(owner):
        raise BrokerError(f"this name cannot own sessions: it must be {OWNER_RULE}", code="forbidden")
    return Caller(owner, is_admin)
