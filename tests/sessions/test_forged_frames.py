"""A worker that sends anything at all: it is ended, its run is told, and what is stored stays readable."""

import asyncio
import json
import logging
import socket
from collections.abc import Coroutine
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.hostile import almost, examples
from kernel_broker.api.models import Pin
from kernel_broker.errors import BrokerError
from kernel_broker.pool.handle import Worker, WorkerLost
from kernel_broker.sessions.document import SessionDocument
from kernel_broker.sessions.residence import Residence
from kernel_broker.sessions.run import Bounds, Request, Run, make_header
from kernel_broker.sessions.surroundings import SessionLimits, Surroundings
from kernel_broker.sessions.tenure import Tenure
from kernel_broker.sessions.warm import Ports, WarmWorker
from kernel_broker.store.contract import SessionRecord
from kernel_broker.store.sqlite import SqliteStore
from kernel_broker.wire.events import read_line
from kernel_broker.wire.frames import Frame, encode
from kernel_broker.wire.ids import Revision, RunId, SessionId
from kernel_broker.wire.messages import Message

SID = SessionId("s")
CHUNK = "0a" * 20
PIN = {"name": "x", "type": "socket", "reason": "it is open", "cell": 1}
CHANGE = {"put": ["x"], "delete": [], "add": [], "drop": []}
DONE = {
    "execution_count": 1,
    "pinned": [PIN],
    "comms": {"c": {"target_name": "t"}},
    "notices": ["n"],
    "shown": ["n"],
    "refused": None,
    "background": False,
    "given_up": 0,
    "checkout": None,
    "failure": None,
    "msg_id": "m",
    "commit": CHANGE,
}
SENT: dict[str, tuple[dict[str, Any], list[bytes]]] = {
    "jupyter": ({"ch": "iopub", "type": "status", "parent": "m", "state": "idle"}, [b"{}"] * 4),
    "done": (DONE, [b"data"]),
    "amend": (DONE, [b"data"]),
    "verified": ({}, []),
    "ready": ({"failure": None, "problem": None}, []),
    "ask": ({"ask": 1}, []),
    "quiet": ({}, []),
    "crashed": ({"traceback": "t"}, []),
    "chunks": ({"slot": 1, "names": [CHUNK], "sizes": [1]}, []),
    "chunk": ({"id": CHUNK}, [b"data"]),
    "lost": ({"ids": [CHUNK]}, []),
    "fetch": ({"ids": [CHUNK], "fetch": 1}, []),
    "read": ({"slot": 1}, []),
    "enough": ({"fetch": 1}, []),
    "nonsense": ({}, []),
}
"""What an honest worker sends, by kind."""


def of_kind(kind: str) -> st.SearchStrategy[Frame]:
    head, given = SENT[kind]
    parts = st.just(given) | st.lists(st.just(b"{}") | st.binary(max_size=9), max_size=6)
    return st.builds(Frame, st.just(kind), almost(head).filter(lambda value: isinstance(value, dict)), parts)


frames = st.sampled_from(["done"] * 5 + ["amend"] * 3 + sorted(SENT)).flatmap(of_kind)


class Scene:
    """A session in a real store, whose worker is the test."""

    def __init__(self, store: SqliteStore, record: SessionRecord) -> None:
        self.store = store
        self.asked = 0
        self.may_answer = asyncio.Event()
        ours, self.theirs = socket.socketpair()
        self.worker = Worker(0, ours, self._kill)
        pool = cast(Any, SimpleNamespace(info=None))
        limits = SessionLimits(patience=0)
        around = Surroundings(store, pool, "pod", limits, lambda: 1.0, cast(Any, None))
        self.tenure = Tenure(record, around)
        header = make_header("execute_request", "m")
        self.run = Run(SID, RunId("r"), Request("shell", "execute_request", header, {"code": ""}))
        self.warm = WarmWorker(self.worker, self._ports())

    def _kill(self, _: int) -> None:
        with suppress(OSError):
            self.theirs.shutdown(socket.SHUT_RDWR)
        self.worker.on_exit(-9)

    def _ports(self) -> Ports:
        async def amend(head: dict[str, Any], given: Any, _: bool) -> bool:
            await self.tenure.amend(head, given)
            return True

        async def revisions() -> list[dict[str, Any]]:
            self.asked += 1
            await self.may_answer.wait()
            return []

        return Ports(
            fetch=lambda ids: self.tenure.fetch(ids, None),
            keep=lambda chunks: self.tenure.keep(chunks, None),
            discard=self.tenure.discard,
            settle=self.tenure.settle,
            amend=amend,
            stray=lambda _: None,
            revisions=revisions,
            quiet=lambda: None,
        )

    async def play(self, sent: list[Frame]) -> None:
        """Let the worker say all that, and then no more. It is answered unless it asks for very much."""
        if len(sent) < 100:
            self.may_answer.set()
        await self.worker.connect()
        await self.tenure.hold(self.run)
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            pump = tasks.create_task(self.warm.pump())
            entering = tasks.create_task(_settled(self.warm.enter(self.tenure.birth(), {})))
            async with self.warm.perform(self.run):
                talk = tasks.create_task(self._talk(sent))
                listen = tasks.create_task(self._listen())
                await pump
            await entering
            talk.cancel()
            listen.cancel()
        await self.worker.close()

    async def _talk(self, sent: list[Frame]) -> None:
        loop = asyncio.get_running_loop()
        self.theirs.setblocking(False)
        try:
            for frame in sent:
                await loop.sock_sendall(self.theirs, b"".join(encode(frame)))
            self.theirs.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    async def _listen(self) -> None:
        try:
            while await asyncio.get_running_loop().sock_recv(self.theirs, 2**20):
                pass
        except OSError:
            pass


async def _settled(work: Coroutine[Any, Any, object]) -> None:
    try:
        await work
    except Exception:
        return


async def played(sent: list[Frame]) -> Scene:
    store = SqliteStore(None)
    await store.open()
    try:
        document = SessionDocument()
        record = SessionRecord(SID, "ada", Revision(0), 1.0, 1.0, 3600.0, document.to_bytes())
        await store.create(record)
        scene = Scene(store, record)
        try:
            await scene.play(sent)
        finally:
            scene.theirs.close()
        found = await store.get(SID)
        assert found is not None
        kept = SessionDocument.from_bytes(found.doc)
        assert all(Pin(**pin) for pin in kept.pinned)
        assert type(kept.execution_count) is int
        assert all(isinstance(comm, dict) for comm in kept.comms.values())
        json.dumps([kept.pinned, kept.comms], ensure_ascii=False).encode()
        assert kept.key == document.key
        assert await store.entries(SID) is not None
        return scene
    finally:
        await store.close()


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Each ended worker is logged, and there are many."""
    caplog.set_level(logging.CRITICAL, "kernel_broker")


@settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(frames, min_size=1, max_size=4))
def test_whatever_a_worker_sends_ends_it_or_is_passed_over(sent: list[Frame]) -> None:
    scene = asyncio.run(played(sent))
    assert scene.run.done.done()
    failure = scene.run.done.exception()
    assert failure is None or isinstance(failure, WorkerLost | BrokerError)
    assert scene.warm.lost is not None
    for line in scene.run.log.tail(2**30).splitlines():
        if b'"event":"message"' not in line:
            read_line(line)


def test_a_worker_that_asks_for_ever_more_is_ended() -> None:
    scene = asyncio.run(played([Frame("ask", {"ask": number}) for number in range(2000)]))
    assert scene.asked < 300


def test_a_worker_that_answers_for_ever_is_ended() -> None:
    reply = Frame("jupyter", {"ch": "shell", "type": "execute_reply", "parent": "m"}, [b"{}"] * 4)
    scene = asyncio.run(played([reply] * 2000))
    assert 0 < len(scene.run.held) < 100
    big = Frame("jupyter", reply.head, [*[b"{}"] * 4, bytes(2**27)])
    scene = asyncio.run(played([big] * 4))
    assert 0 < len(scene.run.held) < 4


async def test_what_is_said_unasked_is_kept_within_bounds() -> None:
    residence = Residence(cast(Any, None), cast(Any, None), cast(Any, None))
    header = make_header("execute_request", "m")
    run = Run(SID, RunId("r"), Request("shell", "execute_request", header, {"code": ""}), Bounds(log=2**30))
    content = b'{"text":"%b"}' % bytes(b"x" * 2**20)
    for size in (content, b"{}"):
        for _ in range(1500):
            residence._stray(Message("iopub", "stream", "", b"{}", b"{}", b"{}", size))
        with residence.speak_through(run):
            pass
        lines = run.log.tail(2**30).splitlines()
        assert len(lines) < (80 if size is content else 1100)
