"""What one owner may have and do. Each pod counts for itself; only sessions are counted in the store.

An admin is not held to any of it. A bound of 0 is none.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from kernel_broker.errors import OverQuota
from kernel_broker.sessions.ownership import Caller
from kernel_broker.store.contract import Store
from kernel_broker.wire.ids import SessionId

_OWNERS_KEPT = 10_000
"""Owners whose requests are counted; the one longest silent is forgotten, and has a full minute again."""


@dataclass(frozen=True, slots=True)
class QuotaLimits:
    """The bounds of each owner."""

    sessions: int = 0
    cells: int = 0
    """Cells that run or wait."""
    requests: int = 0
    """Requests a minute, all of which may come at once."""


class Quotas:
    """Counts, and refuses with `OverQuota`. `clock` is monotonic, in seconds."""

    def __init__(self, limits: QuotaLimits, store: Store, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._store = store
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By owner: requests left, and when that was so; the most recently seen last."""
        self._cells: dict[str, set[object]] = {}
        self._making: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def count_request(self, caller: Caller) -> None:
        """One request more."""
        limit = self._limits.requests
        if not limit or caller.is_admin:
            return
        now = self._clock()
        left, then = self._left.pop(caller.owner, (float(limit), now))
        left = min(limit, left + (now - then) * limit / 60)
        self._left[caller.owner] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > _OWNERS_KEPT:
            self._left.popitem(last=False)
        if left < 1:
            told = f"more than {limit} requests a minute (KERNEL_BROKER_OWNER_REQUESTS); wait a little"
            raise OverQuota(told, retry_after=(1 - left) * 60 / limit)

    def begin_cell(self, caller: Caller) -> Callable[[], None]:
        """One cell more that runs or waits; what is returned ends it, and may be called again."""
        owner, limit = caller.owner, self._limits.cells
        if not limit or caller.is_admin:
            return lambda: None
        cells = self._cells.setdefault(owner, set())
        if len(cells) >= limit:
            raise OverQuota(
                f"{limit} of your cells run or wait at this pod, as many as may (KERNEL_BROKER_OWNER_CELLS); "
                "wait for one to end, or interrupt it",
                retry_after=1,
            )
        cell = object()
        cells.add(cell)
        return lambda: self._end_cell(owner, cell)

    def _end_cell(self, owner: str, cell: object) -> None:
        cells = self._cells.get(owner, set())
        cells.discard(cell)
        if not cells:
            self._cells.pop(owner, None)

    @asynccontextmanager
    async def room_for(self, caller: Caller, session_id: SessionId) -> AsyncIterator[None]:
        """Make a session inside the block, if there is room; one that exists needs none."""
        limit = self._limits.sessions
        if not limit or caller.is_admin:
            yield
            return
        async with self._making.setdefault(caller.owner, asyncio.Lock()):
            if await self._store.get(session_id) is None:
                count = len(await self._store.list(caller.owner))
                if count >= limit:
                    raise OverQuota(
                        f"you have {count} sessions, as many as you may (KERNEL_BROKER_OWNER_SESSIONS); "
                        "delete one",
                        retry_after=60,
                    )
            yield
