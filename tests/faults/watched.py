"""One session of the campaign: it runs cell after cell, and knows after every loss what it must find."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from tests.faults.guest import Model, cell, setup

_GONE = (httpx.TransportError, httpx.RemoteProtocolError)
_PATIENCE = 60.0


class Torn(AssertionError):
    """A session is not where it must be."""


@dataclass
class Pods:
    """The brokers of a campaign, by number, as clients reach them."""

    clients: list[httpx.AsyncClient]
    fates: Counter[str] = field(default_factory=Counter)


class Watched:
    """A session and its model."""

    def __init__(self, pods: Pods, size: int, seed: str) -> None:
        self._pods = pods
        self._dice = random.Random(seed)
        self._model = Model(size)
        self._size = size
        self._pod = self._dice.randrange(len(pods.clients))
        self.id = f"kills-{uuid4().hex[:12]}"
        self.revision = 0

    async def begin(self) -> None:
        """Create it and run its first cell; nobody is killed yet."""
        await self._call("POST", "/v1/sessions", json={"session_id": self.id})
        answer = await self._call("POST", self._url("execute"), json={"code": setup(self._size)}, timeout=60)
        assert answer.json()["status"] == "ok", answer.text
        self.revision = answer.json()["revision"]

    async def go_on(self, stop: asyncio.Event) -> None:
        """Run cells until told to stop; raises `Torn`."""
        while not stop.is_set():
            if self._dice.random() < 0.03:
                await self._move()
            await self.advance()

    async def advance(self) -> None:
        """One cell, and whatever becomes of it."""
        seed, run_id = self._dice.randrange(10**6), uuid4().hex
        body = {"code": cell(seed), "run_id": run_id}
        before = self._model.digest()
        try:
            answer = await self._client.post(
                self._url("execute"), json=body, headers=_JSON, timeout=_PATIENCE
            )
        except _GONE:
            self._pods.fates["runs that lost their broker"] += 1
            await self._resolve(run_id, seed, before)
            return
        if answer.status_code == 200:
            self._committed(answer.json(), seed, before)
            return
        code = answer.json()["code"]
        self._pods.fates[f"runs that ended with {code}"] += 1
        if code in ("session_busy_elsewhere", "draining", "starting"):
            await asyncio.sleep(0.2)
        await self._resolve(run_id, seed, before)

    def _committed(self, result: dict[str, Any], seed: int, before: str) -> None:
        if result["status"] != "ok":
            raise Torn(f"{self.id}: a cell failed in what was loaded: {result}")
        self._model.step(seed)
        self.revision += 1
        self._pods.fates["runs that were committed"] += 1
        shown = "".join(output.get("text", "") for output in result["outputs"]).split()
        if shown != [before, self._model.digest()] or result["revision"] != self.revision:
            raise Torn(
                f"{self.id} at {self.revision}: {result}, expected {before} and {self._model.digest()}"
            )

    async def _resolve(self, run_id: str, seed: int, before: str) -> None:
        """Whether a run that was cut off has been committed: its id tells. The revision must agree."""
        answer = await self._call("GET", self._url(f"runs/{run_id}"))
        if answer.status_code == 200:
            self._pods.fates["runs cut off that turned out to be committed"] += 1
            self._committed(answer.json(), seed, before)
        found = (await self._call("GET", self._url(""))).json()["revision"]
        if found != self.revision:
            raise Torn(f"{self.id} is at revision {found}, expected {self.revision}; its run: {answer.text}")

    async def _move(self) -> None:
        """Let the session go where it is, and use another pod. What it left, it looks at again before."""
        await self._call("POST", self._url("evict"))
        found = (await self._call("GET", self._url(""))).json()["revision"]
        if found not in (self.revision, self.revision + 1):
            raise Torn(f"{self.id} is at revision {found} after it was let go at {self.revision}")
        self._pods.fates["moves"] += 1
        self._pods.fates["moves that amended the state"] += found - self.revision
        self.revision = found
        self._pod = self._dice.randrange(len(self._pods.clients))

    async def _call(self, method: str, url: str, **options: Any) -> httpx.Response:
        """A request that may be repeated, at whichever pod answers."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            try:
                answer = await self._client.request(method, url, headers=_JSON, **options)
                if answer.status_code != 503:
                    return answer
            except _GONE:
                self._pod = (self._pod + 1) % len(self._pods.clients)
            if asyncio.get_running_loop().time() > deadline:
                raise Torn(f"{self.id}: nobody answers {method} {url}")
            await asyncio.sleep(0.05)

    @property
    def _client(self) -> httpx.AsyncClient:
        return self._pods.clients[self._pod]

    def _url(self, what: str) -> str:
        return f"/v1/sessions/{self.id}/{what}".rstrip("/")


_JSON = {"Accept": "application/json"}
