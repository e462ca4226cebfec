"""One worker: hosts the kernel for one session, runs its requests, hands its state to the broker.

    broker → worker   birth · jupyter · stdin
    worker → broker   ready · jupyter · done · quiet

and what `exchange`, `commits` and `past` send and get.
"""

import asyncio
import contextvars
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ipykernel.control import ControlThread

from kernel_broker.wire.frames import Frame
from kernel_broker.wire.pages import is_page
from kernel_broker.wire.text import from_json
from kernel_broker.worker import environment, report
from kernel_broker.worker.app import WorkerApp
from kernel_broker.worker.channel import Channel
from kernel_broker.worker.commits import Commits, Idler
from kernel_broker.worker.exchange import Exchange
from kernel_broker.worker.files.limits import FileLimits
from kernel_broker.worker.files.requests import REQUEST as FILE_REQUEST
from kernel_broker.worker.files.requests import FileRequests
from kernel_broker.worker.files.working import WorkingFiles
from kernel_broker.worker.kernel import to_wire
from kernel_broker.worker.past import Past
from kernel_broker.worker.sandbox.private import Own
from kernel_broker.worker.state.engine import Pin, StateEngine
from kernel_broker.worker.state.errors import StateError
from kernel_broker.worker.state.reach import words_of

_QUIET_SECONDS = 0.25
_MOMENT = 0.001
_BROKEN = 70
"""Exit status of a process that user code has damaged beyond answering (EX_SOFTWARE)."""

STATEFUL = frozenset({"execute_request", "comm_open", "comm_msg", "comm_close", FILE_REQUEST})
"""Requests after which the state may have changed."""


class Worker:
    """The process's main object. The main thread runs user code, the control thread everything else."""

    def __init__(self, app: WorkerApp, sock: socket.socket, own: Own | None = None) -> None:
        self._app = app
        self._own = own
        self._kernel = app.kernel
        self._pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._context = contextvars.copy_context()  # one for all cells, so that context variables last
        self._control = ControlThread(daemon=True)
        self._control_loop: asyncio.AbstractEventLoop = self._control.io_loop.asyncio_loop
        self._channel = Channel(sock, self._control_loop)
        self._exchange = Exchange(self._channel)
        self._files: WorkingFiles | None = None
        self._commits: Commits | None = None
        self._engine: StateEngine | None = None
        self._past = Past(self._channel.send)
        self._idler = Idler(self._loop, self._context, self._verify_when_idle)
        self._idle_seconds = 0.0
        self._limit = 0
        self._requests: set[asyncio.Task[None]] = set()
        self._watching: asyncio.TimerHandle | None = None
        self._arrived = self._begun = 0
        """Requests: counted by the control thread, and by the main one."""
        self._asked_at = 0.0

    def run(self) -> NoReturn:
        """Serve until the broker is gone, which ends the process."""
        self._control_loop.call_soon(self._channel.open, self._on_frame, self._on_broker_gone)
        self._app.awaken(self._control, self._channel)
        self._context.run(self._kernel.start)
        self._wake_on_signals()
        self._control.start()
        while True:  # `quit` and libraries that stop the loop do not end a session
            try:
                self._loop.run_forever()
            except KeyboardInterrupt:
                continue
            finally:
                self._app.shell.exit_now = False

    def _wake_on_signals(self) -> None:
        """Have the main loop woken by signals: one that comes just before it sleeps would else be lost."""
        woken, wake = socket.socketpair()
        for end in (woken, wake):
            end.setblocking(False)
        self._loop.add_reader(woken, woken.recv, 4096)
        self._wakers = (woken, wake)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)

    # -- on the control thread -------------------------------------------------------------------

    def _on_frame(self, frame: Frame) -> None:
        handlers: dict[str, Callable[[Frame], None]] = {
            "jupyter": self._on_jupyter,
            "birth": lambda frame: self._on_main(self._enter, frame),
            "committed": self._on_committed,
            "verify": lambda _: self._on_main(self._verify),
            "exchange": self._exchange.on_memory,
            "taken": self._exchange.on_taken,
            "pieces": self._exchange.on_answer,
            "chunk": self._exchange.on_answer,
            "answer": self._past.on_answer,
            "stdin": lambda frame: self._kernel.input_replies.put(frame.head["value"]),
        }
        handlers[frame.kind](frame)

    def _on_jupyter(self, frame: Frame) -> None:
        if frame.head["ch"] == "control":
            self._control_loop.create_task(self._kernel.dispatch_control(to_wire(tuple(frame.parts))))
        else:
            self._arrived += 1
            self._on_main(self._begin, frame)

    def _on_committed(self, frame: Frame) -> None:
        if self._commits is not None:
            self._commits.on_committed(frame)
            self._on_main(self._hear)

    def _on_main(self, function: Callable[..., None], *args: Any) -> None:
        self._loop.call_soon_threadsafe(function, *args, context=self._context)

    def _on_broker_gone(self) -> None:
        os.killpg(self._pid, signal.SIGKILL)

    # -- on the main thread ----------------------------------------------------------------------

    def _enter(self, frame: Frame) -> None:
        """A session moves in: its environment, then the profile's start-up, then its state."""
        try:
            answer = self._move_in(frame)
        except Exception:  # the broker waits for an answer, and must not wait for ever
            answer = {"failure": traceback.format_exc(limit=-3)}
        self._channel.send(Frame("ready", answer))

    def _move_in(self, frame: Frame) -> dict[str, Any]:
        head = frame.head
        environment.adopt(head["env"])
        if self._own is not None:
            self._own.announce()
        self._app.shell.init_environment()
        problem = environment.change_directory(head["cwd"])
        self._app.enter()
        self._limit = head.get("limit", 0)
        key = bytes.fromhex(head["key"])
        self._files = None
        if head.get("files") is not None:
            self._files = WorkingFiles(Path(head["cwd"]), FileLimits(**head["files"]))
            FileRequests(self._files, self._exchange.fetch, key).install(self._kernel)
        self._past.install(self._app.shell)
        self._engine = engine = StateEngine(self._app.shell, key, self._limit, self._files)
        engine.recompute(by_default=head.get("recompute", False))
        entries = dict(zip(head["entries"], frame.parts, strict=True))
        try:
            lost = self._bring_back(engine, entries)
        except StateError as error:
            return {"failure": str(error)}
        self._idle_seconds = head.get("verify_idle", 0.0)
        self._commits = Commits(engine, self._exchange, self._tell)
        return {"lost": [report.pin(pin) for pin in lost], "problem": problem, "failure": None}

    def _bring_back(self, engine: StateEngine, entries: dict[str, bytes]) -> list[Pin]:
        if not all(map(is_page, entries)):
            return engine.restore(entries, self._exchange.fetch)
        return engine.restore_files(entries, self._exchange.fetch)  # after a restart there are files alone

    def _begin(self, frame: Frame) -> None:
        self._begun += 1
        self._idler.stop()
        task = self._loop.create_task(self._handle(frame), name=report.REQUEST, context=self._context)
        self._requests.add(task)  # the loop itself keeps only a weak reference
        task.add_done_callback(self._requests.discard)

    async def _handle(self, frame: Frame) -> None:
        failure = None
        if self._commits is not None:
            await self._commits.calm()
        try:
            self._prepare(frame)
            await self._kernel.shell_main(None, to_wire(tuple(frame.parts)))
        except Exception:  # the broker must hear of the end of every request
            failure = traceback.format_exc()
        head = frame.head
        stateful = head["type"] in STATEFUL and not self._kernel._main_asyncio_lock.locked()
        try:
            self._finish(head["id"], stateful, failure)
        except Exception:  # user code has broken what this process stands on: better none than a silent one
            os._exit(_BROKEN)

    def _prepare(self, frame: Frame) -> None:
        """Load what a request needs; a cell loads what its code mentions by itself."""
        if self._engine is None:
            return
        kind = frame.head["type"]
        if kind == "execute_request":
            self._engine.prepare()
        elif kind in ("complete_request", "inspect_request"):
            self._engine.require(words_of([str(from_json(frame.parts[3]).get("code", ""))]))
        elif kind.startswith("comm_"):
            self._engine.require()

    def _finish(self, msg_id: str, stateful: bool, failure: str | None) -> None:
        """Tell the broker that a request is done, with what it changed."""
        head = {"msg_id": msg_id, "failure": failure, "checkout": self._past.take_wish(msg_id)}
        if stateful and self._commits is not None:
            self._commits.after_request(head, everything=report.has_background_work(self._loop))
        else:
            self._tell("done", head, [])
        self._rest()

    def _tell(self, kind: str, head: dict[str, Any], parts: list[bytes]) -> None:
        """Send a frame with how the session stands, and `head`."""
        standing = report.done(self._app, self._loop)
        self._channel.send(Frame(kind, standing | head, parts))
        if standing["background"]:
            self._control_loop.call_soon_threadsafe(self._await_quiet)

    def _hear(self) -> None:
        if self._commits is not None:
            self._commits.hear()
            self._rest()

    def _rest(self) -> None:
        """If nothing is to be done, look at the state again after a while."""
        wanted = self._commits is not None and self._commits.wants_verification
        if wanted and self._idle_seconds and not self._is_busy():
            self._idler.wait(self._idle_seconds)

    def _is_busy(self) -> bool:
        return any(not task.done() and task is not asyncio.current_task() for task in self._requests)

    def _verify_when_idle(self) -> None:
        if self._commits is not None and self._commits.wants_verification:
            self._commits.verify(self._is_wanted)

    def _is_wanted(self) -> bool:
        """Whether a request has come. The control thread takes it in, while this one leaves it the time."""
        now = time.monotonic()
        if now - self._asked_at < _MOMENT:
            return False
        if self._channel.has_unread():
            time.sleep(_MOMENT)
        self._asked_at = time.monotonic()
        return self._arrived != self._begun

    def _verify(self) -> None:
        """The broker is about to end this process, and asks if all of it is in the store."""
        self._idler.stop()
        try:
            amended = self._commits is not None and not self._is_busy() and self._commits.verify()
        except Exception:  # the broker waits for an answer
            amended = False
        if not amended:
            self._channel.send(Frame("verified"))

    def _await_quiet(self) -> None:
        """Look again until the user's threads and tasks have ended, then say so (on the control thread)."""
        if self._watching is not None:
            self._watching.cancel()
        if report.has_background_work(self._loop):
            self._watching = self._control_loop.call_later(_QUIET_SECONDS, self._await_quiet)
        else:
            sys.stdout.flush()
            sys.stderr.flush()
            self._channel.send(Frame("quiet"))
