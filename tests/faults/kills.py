"""Kill -9 of workers and brokers at random moments, and what must hold after every one of them.

    python -m tests.faults.kills --kills 10000 --store redis

Every session resumes at the last acknowledged revision, or at the one whose commit was in flight, as its
run's id tells; all it holds is compared with a model. At the end no orphan chunk, no lease and no process is
left.
"""

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from tests.faults.stores import BACKENDS, Backend, collect, held_leases, settled
from tests.faults.watched import Pods, Watched
from tests.fixtures.broker import Broker

_SIZES = (0, 0, 0, 2_300_000)
"""Bytes of array: most sessions are small, a commit of a large one is of several chunks."""

_LEASE = 1.0
_COLLECT_EVERY = 10.0
_GRACE = 20.0


class Campaign:
    """Sessions at work, and somebody who kills."""

    def __init__(self, backend: Backend, kills: int, sessions: int, seed: str, seconds: float) -> None:
        self._backend = backend
        self._dice = random.Random(seed)
        self._kills = kills
        self._longest = seconds
        self._every = max(10, kills // 100)
        """Workers killed until a broker is."""
        settings = {"preload": "numpy", "spares": 3, "lease_ttl": _LEASE, "revisions": 3, "verify_idle": 0}
        self._brokers = [Broker(backend.url, **settings) for _ in range(backend.pods)]
        clients = [httpx.AsyncClient(base_url=broker.url, timeout=60) for broker in self._brokers]
        self.pods = Pods(clients)
        self._sessions = [Watched(self.pods, _SIZES[n % len(_SIZES)], f"{seed} {n}") for n in range(sessions)]
        self.workers = self.brokers = 0
        self.seconds = 0.0

    async def run(self) -> list[str]:
        """All of it; what is wrong, in words."""
        for broker in self._brokers:
            await asyncio.to_thread(broker.start)
        stop, began = asyncio.Event(), time.monotonic()
        try:
            for session in self._sessions:
                await session.begin()
            async with asyncio.TaskGroup() as group:
                for session in self._sessions:
                    group.create_task(session.go_on(stop))
                await self._kill(stop)
            self.seconds = time.monotonic() - began
            return await self._audit()
        finally:
            for broker in self._brokers:
                await asyncio.to_thread(broker.destroy)

    async def _kill(self, stop: asyncio.Event) -> None:
        async with self._collecting():
            ends = time.monotonic() + self._longest
            while self.workers + self.brokers < self._kills and time.monotonic() < ends:
                await asyncio.sleep(self._dice.expovariate(40))
                if (self.workers + 1) % self._every:
                    self.workers += self._kill_worker()
                else:
                    await self._kill_broker()
                    self.workers += 1
        stop.set()

    def _kill_worker(self) -> int:
        victims = [
            pid for broker in self._brokers for zygote in _children(broker.pid) for pid in _children(zygote)
        ]
        if not victims:
            return 0
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._dice.choice(victims), signal.SIGKILL)
            return 1
        return 0

    async def _kill_broker(self) -> None:
        """Kill one; its workers must end by themselves. Then the next one takes its place."""
        broker = self._dice.choice(self._brokers)
        await asyncio.to_thread(broker.stop, signal.SIGKILL)
        self.brokers += 1
        if self._backend.pods == 1:
            await self._look_at_store()
        await asyncio.to_thread(broker.start)

    async def _look_at_store(self) -> None:
        """Nobody has it at the moment: what was uploaded and never committed can be told, and collected."""
        wrong = await settled(self._backend)
        assert not wrong, f"orphans after a collection: {wrong}"

    @contextlib.asynccontextmanager
    async def _collecting(self) -> AsyncIterator[None]:
        """Collect garbage beside the brokers, where more than one may have the store."""

        async def work() -> None:
            while True:
                await asyncio.sleep(_COLLECT_EVERY)
                await collect(self._backend, _GRACE)

        task = asyncio.create_task(work()) if self._backend.pods > 1 else None
        try:
            yield
        finally:
            if task is not None:
                task.cancel()

    async def _audit(self) -> list[str]:
        for session in self._sessions:
            await session.advance()
        for client in self.pods.clients:
            await client.aclose()
        for broker in self._brokers:
            await asyncio.to_thread(broker.stop)
        names = [session.id for session in self._sessions]
        return await held_leases(self._backend, names) + await settled(self._backend)

    def account(self) -> str:
        """What was done, and what became of the runs."""
        done = f"{self.workers + self.brokers} kills: {self.workers} of workers, {self.brokers} of brokers"
        fates = "\n".join(f"  {count:6} {fate}" for fate, count in sorted(self.pods.fates.items()))
        rate = (self.workers + self.brokers) / max(self.seconds, 0.1)
        return f"{done}; {len(self._sessions)} sessions, {self.seconds:.0f} s, {rate:.1f} kills/s\n{fates}"


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def campaign(
    store: str, kills: int, sessions: int, seed: str = "0", seconds: float = 1e9
) -> tuple[list[str], str]:
    """One campaign; what is wrong, and its account."""
    backend = BACKENDS[store]()
    try:
        war = Campaign(backend, kills, sessions, seed, seconds)
        wrong = asyncio.run(war.run())
        return wrong, war.account()
    finally:
        backend.close()


def main() -> int:
    """0 if nothing is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--store", choices=sorted(BACKENDS), default="sqlite")
    parser.add_argument("--sessions", type=int, default=12)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--seconds", type=float, default=1e9, help="end after so many, with fewer kills")
    options = parser.parse_args()
    wrong, account = campaign(options.store, options.kills, options.sessions, options.seed, options.seconds)
    print(account, *wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
