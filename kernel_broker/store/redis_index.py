"""Which sessions there are, for `list`: kept beside the sessions by plain commands.

It spans slots, so it is not part of any session's atomic change: it may name a session that is gone, and
whoever finds that takes it off. A session it does not name (its maker died in between) is added when its
creation is repeated.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from kernel_broker.store.redis import Command, RedisLink
from kernel_broker.wire.ids import SessionId

PREFIX: Final = "serverless-ipykernel"
_ALL: Final = f"{PREFIX}:sessions"
"""Hash: session id -> owner."""


def _of(owner: str) -> str:
    """The set of an owner's session ids."""
    return f"{PREFIX}:owner:{owner}"


class Index:
    """The session ids, all of them and by owner."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    async def members(self, owner: str | None = None) -> list[SessionId]:
        """The ids of one owner's sessions, or of all."""
        (ids,) = await self._link.send([("HKEYS", _ALL) if owner is None else ("SMEMBERS", _of(owner))])
        return [SessionId(session_id.decode()) for session_id in ids]

    async def add(self, owners: Mapping[SessionId, str]) -> None:
        """Name these sessions and their owners."""
        commands: list[Command] = []
        for session_id, owner in owners.items():
            commands += [("HSET", _ALL, session_id, owner), ("SADD", _of(owner), session_id)]
        await self._link.send(commands)

    async def remove(self, gone: Sequence[SessionId], owner: str | None = None) -> None:
        """Forget these sessions, also where only `owner`'s set still names them."""
        (known,) = await self._link.send([("HMGET", _ALL, *gone)])
        commands: list[Command] = [("HDEL", _ALL, *gone)]
        for session_id, indexed in zip(gone, known, strict=True):
            owners = {indexed.decode() if indexed else None, owner} - {None}
            commands += [("SREM", _of(str(name)), session_id) for name in owners]
        await self._link.send(commands)
