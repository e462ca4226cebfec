"""One kernel as its front ends see it: requests in, broker's events out, in order.

Shell requests are handled one at a time, as ipykernel does; control requests beside them. What can be
answered without a worker is answered here.
"""

import asyncio
import base64
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from kernel_broker.wire.events import Event
from kernel_broker.wire.messages import Channel
from kernel_manager.bridge.info import KernelInfo
from kernel_manager.bridge.request import FrontEndRequest, abort_metadata, failure
from kernel_manager.bridge.sockets import KernelSockets
from kernel_manager.bridge.waiting import WaitingLine
from kernel_manager.client.errors import ApiError, KernelError, NotFound, SessionNotFound
from kernel_manager.client.rest import AsyncClient

log = logging.getLogger(__name__)

Json = dict[str, Any]


@dataclass(slots=True)
class KernelSession:
    """The session behind a kernel, made when its first request comes."""

    session_id: str
    create: Json = field(default_factory=dict)
    """The body it is created with."""
    created: bool = False
    stale: bool = False
    """A restart has been asked for that the broker has not heard of yet."""


class Bridge:
    """Serves one kernel's sockets until closed."""

    def __init__(self, sockets: KernelSockets, client: AsyncClient, session: KernelSession) -> None:
        self._sockets = sockets
        self._client = client
        self._kernel = session
        self._info = KernelInfo(client)
        self._queue: asyncio.Queue[FrontEndRequest] = asyncio.Queue()
        self._running: asyncio.Task[None] | None = None
        self._accepted = False
        self._abort_left = 0
        self._input_from: FrontEndRequest | None = None
        self._background: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.ended = asyncio.Event()
        """Set when a front end has asked for shutdown."""

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to serve."""
        for work in (
            self._receive("shell"),
            self._receive("control"),
            self._receive("stdin"),
            self._serve_shell(),
            self._sockets.beat(),
            self._sockets.welcome(),
            self._info.fetch(),
        ):
            self._spawn(work)
        self._publish("status", {"execution_state": "starting"}, None)

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a bridge task failed", exc_info=task.exception())

    async def close(self) -> None:
        """Stop serving and let go of everything; the session stays as it is."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sockets.close()
        await self._client.aclose()

    async def forget(self) -> None:
        """Delete the session, if the broker knows it."""
        if self._kernel.created:
            self._kernel.created = False
            with suppress(KernelError):
                await self._client.delete_session(self._kernel.session_id)

    async def restart(self) -> None:
        """A fresh namespace before the next request, now if the broker can be reached."""
        self._kernel.stale = self._kernel.created
        if self._running is not None and not self._accepted:
            self._running.cancel()
        with suppress(KernelError):
            await self._refresh()

    async def interrupt(self) -> None:
        """Interrupt the running cell; a sleeping session is left asleep."""
        if self._running is None:
            return
        if not self._accepted:
            self._running.cancel()
            return
        with suppress(KernelError):
            await self._client.interrupt(self._kernel.session_id)

    # -- requests in -----------------------------------------------------------------------------

    async def _receive(self, channel: Channel) -> None:
        while True:
            identities, parts = await self._sockets.receive(channel)
            try:
                self._sockets.session.deserialize(list(parts))  # checks the signature
                request = FrontEndRequest.read(channel, identities, parts)
            except Exception as error:  # whatever arrives on a socket must not end its reader
                log.warning("a message that cannot be read on %s: %s", channel, error)
                continue
            if channel == "stdin":
                self._spawn(self._answer_input(request))
            elif channel == "control":
                self._spawn(self._serve_control(request))
            elif self._running is not None and request.msg_type.startswith("comm_"):
                self._spawn(self._forward(request))  # a running async cell may wait for it
            else:
                self._queue.put_nowait(request)

    async def _serve_shell(self) -> None:
        while True:
            request = await self._queue.get()
            if self._abort_left > 0:
                self._abort_left -= 1
                if request.msg_type == "execute_request":
                    self._abort(request)
                    continue
            self._accepted = False
            self._running = self._spawn(self._serve(request))
            await asyncio.wait({self._running})
            if self._running.cancelled():
                self._fail(request, "KeyboardInterrupt", "interrupted before the cell started", busy=True)
            self._running = None

    async def _serve(self, request: FrontEndRequest) -> None:
        match request.msg_type:
            case "kernel_info_request":
                self._answer(request, self._info.content)
            case "connect_request":
                ports = {f"{name}_port": port for name, port in self._sockets.ports.items()}
                self._answer(request, {"status": "ok", **ports})
            case "comm_info_request":
                await self._serve_comm_info(request)
            case "shutdown_request":
                await self._serve_shutdown(request)
            case _:
                await self._forward(request)

    async def _serve_control(self, request: FrontEndRequest) -> None:
        if request.msg_type == "interrupt_request":
            await self.interrupt()
            self._answer(request, {"status": "ok"})
        else:
            await self._serve(request)

    async def _serve_shutdown(self, request: FrontEndRequest) -> None:
        restart = bool(request.content.get("restart", False))
        if restart:
            await self.restart()
        else:
            await self.forget()
        content = {"status": "ok", "restart": restart}
        self._publish("status", {"execution_state": "busy"}, request)
        self._reply(request, content)
        self._publish("shutdown_reply", content, request)
        self._publish("status", {"execution_state": "idle"}, request)
        self.ended.set()

    async def _serve_comm_info(self, request: FrontEndRequest) -> None:
        comms: Json = {}
        if self._kernel.created and not self._kernel.stale:
            try:
                session = await self._client.session(self._kernel.session_id)
            except KernelError:
                session = {"state": "cold", "comms": {}}
            if session["state"] != "cold":
                await self._forward(request)
                return
            comms = session["comms"]
        target = request.content.get("target_name")
        wanted = {key: comm for key, comm in comms.items() if target in (None, comm["target_name"])}
        self._answer(request, {"status": "ok", "comms": wanted})

    async def _answer_input(self, reply: FrontEndRequest) -> None:
        with suppress(KernelError):
            await self._client.input(self._kernel.session_id, str(reply.content.get("value", "")))

    # -- through the broker ----------------------------------------------------------------------

    async def _forward(self, request: FrontEndRequest) -> None:
        """Have the broker carry a request out, and pass on what comes of it; it is always answered."""
        line = WaitingLine(lambda kind, content: self._publish(kind, content, request))
        try:
            for again in (True, False):
                try:
                    await self._refresh()
                    await self._relay(request, line)
                except SessionNotFound:
                    if not again:
                        raise
                    self._kernel.created = False  # it expired, or somebody removed it
                else:
                    return
        except KernelError as error:
            line.resolve()
            ename = "BrokerError" if isinstance(error, ApiError) else "BrokerUnavailable"
            self._fail(request, ename, str(error), busy=not self._accepted)
        finally:
            line.resolve()

    async def _refresh(self) -> None:
        """Make the session if it is not there yet, and restart it if that is due."""
        kernel = self._kernel
        if not kernel.created:
            await self._client.create_session(session_id=kernel.session_id, **kernel.create)
            kernel.created, kernel.stale = True, False
        elif kernel.stale:
            await self._client.restart(kernel.session_id)
            kernel.stale = False

    async def _relay(self, request: FrontEndRequest, line: WaitingLine) -> None:
        session_id = self._kernel.session_id
        if request.msg_type == "execute_request":
            fields = {"header": request.header, "metadata": request.metadata, **request.content}
            events = self._client.execute(session_id, **fields)
        else:
            body = {
                "channel": request.channel,
                "msg_type": request.msg_type,
                "header": request.header,
                "parent_header": request.parent_header,
                "metadata": request.metadata,
                "content": request.content,
                "buffers": [base64.b64encode(part).decode() for part in request.buffers],
            }
            events = self._client.message(session_id, body)
        async for event in events:
            self._take(event, request, line)

    def _take(self, event: Event, request: FrontEndRequest, line: WaitingLine) -> None:
        kind = event["event"]
        if kind == "message":
            line.resolve()
            self._pass_on(event, request)
        elif kind == "accepted" and request.channel == "shell":
            self._accepted = True
        elif kind in ("waiting", "queued"):
            line.show(event["reason"])
        elif kind == "end" and event.get("background") and self._background is None:
            self._background = self._spawn(self._follow_background())

    def _pass_on(self, event: Event, request: FrontEndRequest) -> None:
        message = {name: event[name] for name in ("header", "parent_header", "metadata", "content")}
        message["buffers"] = [base64.b64decode(part) for part in event["buffers"]]
        message["msg_type"] = event["msg_type"]
        message["msg_id"] = event["header"]["msg_id"]
        self._sockets.send(event["channel"], message, request.identities)
        if event["msg_type"] == "execute_reply":
            self._abort_rest_after(request, event["content"])

    def _abort_rest_after(self, request: FrontEndRequest, reply: Json) -> None:
        """After an error, cells that are waiting already are aborted (ipykernel's `_abort_queues`)."""
        content = request.content
        stops = content.get("stop_on_error", True) and not content.get("silent", False)
        if reply.get("status") == "error" and stops:
            self._abort_left = self._queue.qsize()

    async def _follow_background(self) -> None:
        """Pass on what threads and tasks publish after their cell, until they end."""
        nobody = FrontEndRequest("shell", [], {"msg_type": ""}, {}, {}, {}, [])
        try:
            async for event in self._client.attach(self._kernel.session_id, "background"):
                if event["event"] == "message":
                    self._pass_on(event, nobody)
        except NotFound:
            pass  # it ended before we asked
        except KernelError as error:
            log.info("background output cannot be followed: %s", error)
        finally:
            self._background = None

    # -- answers of our own ----------------------------------------------------------------------

    def _publish(self, msg_type: str, content: Json, request: FrontEndRequest | None) -> None:
        message = self._sockets.session.msg(msg_type, content)
        message["parent_header"] = request.header if request is not None else {}
        self._sockets.send("iopub", message)

    def _reply(self, request: FrontEndRequest, content: Json, metadata: Json | None = None) -> None:
        message = self._sockets.session.msg(request.reply_type, content, metadata=metadata)
        message["parent_header"] = request.header
        self._sockets.send(request.channel, message, request.identities)

    def _answer(self, request: FrontEndRequest, content: Json, metadata: Json | None = None) -> None:
        self._publish("status", {"execution_state": "busy"}, request)
        self._reply(request, content, metadata)
        self._publish("status", {"execution_state": "idle"}, request)

    def _abort(self, request: FrontEndRequest) -> None:
        self._answer(request, {"status": "aborted"}, abort_metadata(self._kernel.session_id))

    def _fail(self, request: FrontEndRequest, ename: str, evalue: str, *, busy: bool) -> None:
        """Answer with an error, as a kernel would whose cell raised it."""
        error = failure(ename, evalue)
        if busy:
            self._publish("status", {"execution_state": "busy"}, request)
        if request.msg_type == "execute_request":
            self._publish("error", error, request)
            self._abort_rest_after(request, {"status": "error"})
        if request.wants_reply:
            self._reply(request, {"status": "error", **error, "execution_count": 0, "payload": []})
        self._publish("status", {"execution_state": "idle"}, request)
