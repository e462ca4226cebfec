"""One kernel as its front ends see it: requests in, the broker's events out, in order.

Cells and other shell requests run one at a time, as in ipykernel; control requests go beside them, and so
do comm messages while a cell runs. What can be answered without a worker is answered here.
"""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from jupyter_client.session import Session

from kernel_broker.wire.events import Event
from kernel_manager.bridge.answers import Answers
from kernel_manager.bridge.background import Background
from kernel_manager.bridge.info import KernelInfo
from kernel_manager.bridge.kernel_session import KernelSession
from kernel_manager.bridge.request import Request, read_request
from kernel_manager.bridge.sockets import Sockets
from kernel_manager.bridge.voice import Voice
from kernel_manager.bridge.waiting import WaitingLine
from kernel_manager.client.errors import KernelError, SessionNotFound

log = logging.getLogger(__name__)

_BUSY = {"execution_state": "busy"}
_URGENT = frozenset({"interrupt_request", "shutdown_request"})
"""Control requests that must not wait behind another one."""


class Bridge:
    """Serves one kernel's sockets until closed. Belongs to the running loop."""

    def __init__(self, sockets: Sockets, signing: Session, kernel: KernelSession, info: KernelInfo) -> None:
        self._sockets = sockets
        self._signing = signing
        self._kernel = kernel
        self._info = info
        self._voice = Voice(signing, sockets)
        self._answers = Answers(info, kernel, sockets.ports)
        self._background = Background(kernel, self._voice)
        self._shell: asyncio.Queue[Request] = asyncio.Queue()
        self._control: asyncio.Queue[Request] = asyncio.Queue()
        self._comms: asyncio.Queue[Request] = asyncio.Queue()
        self._comms_waiting = 0
        self._current: Request | None = None
        self._running: asyncio.Task[None] | None = None
        self._stopped_because = ""
        self._to_abort = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self.ended = asyncio.Event()
        """Set when a front end has asked for shutdown."""

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to serve; again after a restart."""
        if not self._tasks:
            self._sockets.open(self._receive)
            for lane in (self._serve_shell(), self._serve_control(), self._serve_comms()):
                self._spawn(lane)
        self._sockets.heal()
        self.ended.clear()
        self._voice.status("starting")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Stop serving and let go of everything; the session stays as it is."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._background.close()
        await self._info.close()
        self._sockets.close()
        await self._kernel.client.aclose()

    async def forget(self) -> None:
        """Delete the session, if the broker knows it."""
        await self._kernel.forget()

    async def restart(self) -> None:
        """A fresh namespace; what runs or waits is given up."""
        self._to_abort = self._shell.qsize()
        self._stop_running("the kernel was restarted")
        await self._kernel.restart()

    async def interrupt(self) -> None:
        """Interrupt the running cell; a sleeping session is left asleep."""
        if self._current is None:
            return
        if not self._current.accepted.is_set():
            self._stop_running("interrupted before the cell started")
            return
        with suppress(KernelError):
            await self._kernel.client.interrupt(self._kernel.session_id)

    def _stop_running(self, why: str) -> None:
        if self._running is not None:
            self._stopped_because = why
            self._running.cancel()

    # -- requests in -----------------------------------------------------------------------------

    def _receive(self, channel: str, frames: list[bytes]) -> None:
        if channel == "iopub":
            self._voice.welcome(frames[0])
            return
        try:
            request = read_request(self._signing, channel, frames)
        except Exception as error:  # whatever arrives on a socket must not end its reader
            log.warning("a message that cannot be read on %s: %s", channel, error)
            return
        if channel == "stdin":
            self._spawn(self._answer_input(request))
        elif request.msg_type in _URGENT:
            self._spawn(self._serve(request))
        elif channel == "control":
            self._control.put_nowait(request)
        elif request.msg_type.startswith("comm_") and request.msg_type != "comm_info_request":
            self._receive_comm(request)
        else:
            self._shell.put_nowait(request)

    def _receive_comm(self, request: Request) -> None:
        if self._comms_waiting or (self._current is not None and self._current.is_cell):
            self._comms_waiting += 1
            self._comms.put_nowait(request)
        else:
            self._shell.put_nowait(request)

    async def _serve_shell(self) -> None:
        while True:
            request = await self._shell.get()
            await self._comms.join()  # what the front end sent before reaches the broker before
            if self._to_abort > 0:
                self._to_abort -= 1
                if request.is_cell:
                    self._voice.abort(request)
                    continue
            self._current = request
            self._running = self._spawn(self._serve(request))
            await asyncio.wait({self._running})
            if self._running.cancelled():
                self._fail(request, "KeyboardInterrupt", self._stopped_because)
            request.begun.set()
            self._current = self._running = None

    async def _serve_control(self) -> None:
        while True:
            await asyncio.wait({self._spawn(self._serve(await self._control.get()))})

    async def _serve_comms(self) -> None:
        """One after another reaches the broker, but a reply is not waited for: a running cell may hold it."""
        while True:
            request = await self._comms.get()
            if self._current is not None:
                await self._current.begun.wait()  # from then on, what comes first is handled first
            served = self._spawn(self._serve(request))
            accepted = asyncio.ensure_future(request.accepted.wait())
            await asyncio.wait({served, accepted}, return_when=asyncio.FIRST_COMPLETED)
            accepted.cancel()
            self._comms_waiting -= 1
            self._comms.task_done()

    async def _serve(self, request: Request) -> None:
        try:
            if request.msg_type == "interrupt_request":
                await self.interrupt()
                self._voice.answer(request, {"status": "ok"})
            elif request.msg_type == "shutdown_request":
                await self._serve_shutdown(request)
            elif (content := await self._answers.find(request)) is not None:
                self._voice.answer(request, content)
            else:
                await self._forward(request)
        except Exception as error:  # a front end waits for the answer
            log.exception("a %s could not be served", request.msg_type)
            self._fail(request, type(error).__name__, str(error))

    async def _serve_shutdown(self, request: Request) -> None:
        restart = bool(request.content.get("restart", False))
        await (self.restart() if restart else self.forget())
        content = {"status": "ok", "restart": restart}
        self._voice.status("busy", request)
        self._voice.reply(request, content)
        self._voice.publish("shutdown_reply", content, request)
        self._voice.status("idle", request)
        self.ended.set()

    async def _answer_input(self, reply: Request) -> None:
        with suppress(KernelError):
            await self._kernel.client.input(self._kernel.session_id, str(reply.content.get("value", "")))

    # -- through the broker ----------------------------------------------------------------------

    async def _forward(self, request: Request) -> None:
        """Have the broker carry a request out, and pass on what comes of it; it is always answered."""
        line = WaitingLine(lambda kind, content: self._voice.publish(kind, content, request))
        try:
            try:
                await self._perform(request, line)
            except SessionNotFound:
                if self._kernel.lose():
                    text = "Serverless Python: the session had ended; this is a fresh namespace\n"
                    self._voice.publish("stream", {"name": "stderr", "text": text}, request)
                await self._perform(request, line)
        except KernelError as error:
            line.resolve()
            self._fail(request, type(error).__name__, str(error))
        finally:
            line.resolve()

    async def _perform(self, request: Request, line: WaitingLine) -> None:
        if request.is_cell:
            line.show("the broker is starting, or cannot be reached")
        await self._kernel.ensure()
        async for event in self._kernel.perform(request):
            self._take(event, request, line)

    def _take(self, event: Event, request: Request, line: WaitingLine) -> None:
        match event["event"]:
            case "message":
                line.resolve()
                request.begun.set()
                if not (line.said_busy and event["content"] == _BUSY):
                    self._voice.relay(event, request.idents)
                if event["msg_type"] == "execute_reply":
                    self._abort_rest_after(request, event["content"].get("status"))
            case "accepted":
                request.accepted.set()
            case "waiting" | "queued" if request.is_cell:
                line.show(event["reason"])
            case "dropped" if request.is_cell:
                lost = event["last"] - event["first"] + 1
                text = f"Serverless Python: {lost} messages of this cell were dropped\n"
                self._voice.publish("stream", {"name": "stderr", "text": text}, request)
            case "end" if event["background"]:
                self._background.follow()

    def _abort_rest_after(self, request: Request, status: str | None) -> None:
        """After an error, cells that are waiting already are aborted (ipykernel's `_abort_queues`)."""
        content = request.content
        stops = content.get("stop_on_error", True) and not content.get("silent", False)
        if request.is_cell and status == "error" and stops:
            self._to_abort = self._shell.qsize()

    def _fail(self, request: Request, ename: str, evalue: str) -> None:
        self._voice.fail(request, ename, evalue, busy=not request.accepted.is_set())
        self._abort_rest_after(request, "error")
