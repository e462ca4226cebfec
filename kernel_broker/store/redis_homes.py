"""Where sessions are in Redis: at the key of their id, or, if forked, beside the session they came from.

A fork shares chunks, so it must be in the slot of its family, while its id is free to choose. The key that
says where it is has a slot of its own and is changed in steps: the id is claimed, the fork is made, the claim
is settled. A claim that is never settled expires; a settled one whose session is gone is taken away by
whoever finds it.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

from kernel_broker.store.redis import Command, RedisLink
from kernel_broker.store.redis_index import PREFIX
from kernel_broker.wire.ids import SessionId

Answer = list[Any]

_KNOWN: Final = 10_000


def own_key(session_id: SessionId) -> str:
    """The key made of the session's id."""
    return f"{PREFIX}:{{{session_id}}}"


def chunk_key(key: str, chunk_id: str) -> str:
    """The key of a chunk of the family of the session at `key`."""
    return f"{key.partition('}')[0]}}}:chunk:{chunk_id}"


class Homes:
    """Finds sessions. What it remembers is only a guess: every answer says if it was wrong."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._known: dict[SessionId, str] = {}

    async def call(self, session_id: SessionId, verb: str, *args: str | float | bytes) -> Answer:
        """Run a verb of `session.lua` on the session, wherever it is."""
        return await self.at_home(session_id, lambda key: self._link.call(key, verb, *args))

    async def at_home(self, session_id: SessionId, attempt: Callable[[str], Awaitable[Answer]]) -> Answer:
        """Make the attempt, which may be repeated and answers as the script does, where the session is."""
        known = self._known.get(session_id)
        answer = await attempt(known or own_key(session_id))
        if known and answer[0] == b"missing":
            answer = await attempt(own_key(session_id))
        if answer[0] == b"moved":
            self._remember(session_id, answer[1].decode())
            answer = await attempt(answer[1].decode())
        if answer[0] == b"missing":
            self._known.pop(session_id, None)
        return answer

    def _remember(self, session_id: SessionId, home: str) -> None:
        if len(self._known) >= _KNOWN:
            self._known.clear()
        self._known[session_id] = home

    async def fields(
        self, batch: Collection[SessionId], names: Collection[str]
    ) -> dict[SessionId, list[bytes | None]]:
        """These fields of the sessions; all None where there is none."""
        found = await self._link.send([("HMGET", own_key(id_), "home", *names) for id_ in batch])
        fields = {id_: values[1:] for id_, values in zip(batch, found, strict=True)}
        homes = {id_: values[0].decode() for id_, values in zip(batch, found, strict=True) if values[0]}
        if homes:
            asked: list[Command] = []
            for id_, home in homes.items():
                asked += [("PTTL", own_key(id_)), ("HMGET", home, *names)]
            answers = await self._link.send(asked)
            for id_, settled, values in zip(homes, answers[::2], answers[1::2], strict=True):
                fields[id_] = values
                if settled == -1 and values[0] is None:  # in this order: so it was made, and is gone
                    await self._link.call(own_key(id_), "unclaim", homes[id_])
        return fields

    async def claim(self, session_id: SessionId, home: str) -> bool:
        """Take the id for a fork that is going to be at `home`; False if it is taken."""
        return bool((await self._link.call(own_key(session_id), "claim", home))[0] == b"ok")

    async def settle(self, session_id: SessionId, home: str) -> bool:
        """The fork has been made; False if the claim had expired and somebody else has the id now."""
        return bool((await self._link.call(own_key(session_id), "settle", home))[0] == b"ok")

    async def unclaim(self, session_id: SessionId, home: str | None = None) -> None:
        """Nothing is at the session's home any more."""
        home = home or self._known.pop(session_id, None)
        if home is not None:
            await self._link.call(own_key(session_id), "unclaim", home)

    async def find(self, session_id: SessionId) -> str:
        """The key at which the session is, if there is one."""
        await self.call(session_id, "here")
        return self._known.get(session_id) or own_key(session_id)
