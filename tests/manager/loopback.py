"""A broker's HTTP face with a script in place of workers: real uvicorn on a real socket, in a thread."""

import asyncio
import json
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from kernel_broker.wire.events import to_line
from kernel_broker.wire.problems import Problem
from kernel_manager.client.endpoint import Endpoint


@dataclass
class Serve:
    """Stream lines numbered below `until`, then `tail`, then end the body, break the connection, or hang."""

    until: int | None = None
    tail: bytes = b""
    ending: str = "eof"


@dataclass
class Answer:
    """Answer without a stream."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def refuse(code: str, **members: Any) -> Answer:
    problem = Problem(code, f"test: {code}", members.pop("retry_after", None), members)
    headers = {} if problem.retry_after is None else {"retry-after": str(int(problem.retry_after))}
    return Answer(problem.status, json.dumps(problem.to_json()).encode(), headers)


def jupyter(seq: int, msg_type: str, content: dict[str, Any], channel: str = "iopub", **more: Any) -> bytes:
    parts = {"header": {"msg_id": f"m{seq}"}, "parent_header": {}, "metadata": {}, "buffers": [], **more}
    return to_line("message", seq, channel=channel, msg_type=msg_type, content=content, **parts)


def cell(*messages: tuple[str, dict[str, Any]], status: str = "ok", **end: Any) -> list[bytes]:
    """A whole run: accepted, the messages, execute_reply, idle, end."""
    lines = [to_line("accepted", 0, session_id="s", run_id="r", revision=4)]
    for msg_type, content in messages:
        channel = "stdin" if msg_type == "input_request" else "iopub"
        lines.append(jupyter(len(lines), msg_type, content, channel))
    reply = {"status": status, "execution_count": 7, "payload": [], "user_expressions": {}}
    lines.append(jupyter(len(lines), "execute_reply", reply, "shell"))
    lines.append(jupyter(len(lines), "status", {"execution_state": "idle"}))
    members = {"status": status, "revision": 5, "execution_count": 7, "notices": [], "background": False}
    lines.append(to_line("end", len(lines), **{**members, "problem": None, **end}))
    return lines


def nobody() -> Endpoint:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Endpoint(f"http://127.0.0.1:{probe.getsockname()[1]}")


class LoopbackBroker:
    """Serves `lines` as every run's log. Each stream request takes the next of `acts` first, if any."""

    def __init__(self, lines: list[bytes] | None = None, uds: str | None = None) -> None:
        self.lines = lines or cell(("stream", {"name": "stdout", "text": "hello\n"}))
        self.acts: deque[Serve | Answer] = deque()
        self.runs: list[str] = []
        self.requests: list[tuple[str, str, Any]] = []
        self.sessions: dict[str, dict[str, Any]] = {}
        self.peers: set[Any] = set()
        self.revision = 5
        self._closing = asyncio.Event()
        self._socket = socket.socket(socket.AF_UNIX if uds else socket.AF_INET)
        self._socket.bind(uds or ("127.0.0.1", 0))
        self._socket.listen(64)
        url = "http://localhost" if uds else f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.endpoint = Endpoint(url, token="sesame", uds=uds)
        config = uvicorn.Config(self._make_app(), log_level="error", lifespan="off", ws="none")
        self._server = uvicorn.Server(config)
        self._runner = asyncio.Runner()
        self._loop = self._runner.get_loop()
        self._thread = threading.Thread(target=self._serve, name="loopback")
        self._thread.start()

    def __enter__(self) -> "LoopbackBroker":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._server.should_exit = True
        if self._thread.is_alive():
            self.release()
            self._thread.join()
        self._socket.close()

    def release(self) -> None:
        """Let streams that hang end."""
        self._loop.call_soon_threadsafe(self._closing.set)

    def count(self, method: str, part: str) -> int:
        return sum(1 for verb, path, _ in self.requests if verb == method and part in path)

    def _serve(self) -> None:
        with self._runner:
            self._runner.run(self._server.serve(sockets=[self._socket]))

    def _make_app(self) -> Starlette:
        path = "/v1/sessions/{session_id}"
        routes = [
            Route("/v1/sessions", self._collection, methods=["GET", "POST"]),
            Route(path, self._session, methods=["GET", "DELETE"]),
            Route(path + "/execute", self._run, methods=["POST"]),
            Route(path + "/messages", self._run, methods=["POST"]),
            Route(path + "/runs/{run_id}", self._attach, methods=["GET"]),
            Route(path + "/{verb}", self._verb, methods=["POST"]),
        ]
        return Starlette(routes=routes)

    async def _note(self, request: Request) -> Any:
        body = await request.body()
        parsed = json.loads(body) if body else None
        self.requests.append((request.method, request.url.path, parsed))
        self.peers.add(request.client)
        self.token = request.headers.get("authorization")
        return parsed

    async def _collection(self, request: Request) -> Response:
        body = await self._note(request)
        if request.method == "GET":
            return JSONResponse({"sessions": list(self.sessions.values())})
        known = body["session_id"] in self.sessions
        self.sessions[body["session_id"]] = {**body, "revision": self.revision, "state": "cold"}
        return JSONResponse(self.sessions[body["session_id"]], 200 if known else 201)

    async def _session(self, request: Request) -> Response:
        await self._note(request)
        if request.method == "DELETE":
            self.sessions.pop(request.path_params["session_id"], None)
            return Response(status_code=204)
        return JSONResponse({"session_id": request.path_params["session_id"], "revision": self.revision})

    async def _verb(self, request: Request) -> Response:
        await self._note(request)
        if self.acts and isinstance(self.acts[0], Answer):
            return self._play(0)
        if request.path_params["verb"] in {"restart", "evict"}:
            return JSONResponse({"session_id": request.path_params["session_id"], "revision": self.revision})
        return Response(status_code=204)

    async def _run(self, request: Request) -> Response:
        body = await self._note(request)
        if not (self.acts and isinstance(self.acts[0], Answer)):
            run_id = body.get("run_id") or body["header"]["msg_id"]
            if run_id not in self.runs:
                self.runs.append(run_id)
        return self._play(0)

    async def _attach(self, request: Request) -> Response:
        await self._note(request)
        if request.path_params["run_id"] not in self.runs and not self.acts:
            self.acts.append(refuse("run_not_found"))
        return self._play(int(request.query_params["after"]) + 1)

    def _play(self, start: int) -> Response:
        act = self.acts.popleft() if self.acts else Serve()
        if isinstance(act, Answer):
            kind = "application/problem+json" if act.body.startswith(b"{") else "text/plain"
            return Response(act.body, act.status, act.headers, kind)
        return StreamingResponse(self._stream(act, start), media_type="application/x-ndjson")

    async def _stream(self, act: Serve, start: int) -> AsyncIterator[bytes]:
        for line in self.lines[start : act.until]:
            yield line
        if act.tail:
            yield act.tail
        if act.ending == "hang":
            await self._closing.wait()
        if act.ending == "break":
            raise ConnectionResetError("scripted")
