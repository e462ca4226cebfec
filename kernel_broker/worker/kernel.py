"""ipykernel's kernel, hosted on the worker's channel instead of ZMQ sockets.

Only what assumes a socket is overridden; every message is handled by ipykernel's own code.
"""

import asyncio
import fcntl
import os
import queue
import struct
import sys
import termios
import time
import traceback
import uuid
from typing import Any

import zmq
from ipykernel.ipkernel import IPythonKernel
from ipykernel.jsonutil import json_clean
from jupyter_client.session import DELIM
from tornado.ioloop import IOLoop
from traitlets import Any as AnyTrait

from kernel_broker.wire.text import from_json
from kernel_broker.worker.debug import DebugLink, refuse_to_start


def to_wire(parts: tuple[bytes, ...]) -> list[zmq.Frame]:
    """A message's parts as ipykernel's dispatchers take them, unsigned.

    A Jupyter client's socket has its session's id as identity; user code can see it.
    """
    ident = str(from_json(parts[0]).get("session", "")).encode()
    return [zmq.Frame(part) for part in (ident, DELIM, b"", *parts)]


def drain(stream: Any, patience: float = 0.1) -> None:
    """Let the stream's watching thread take what is left in its pipe (at most `patience` seconds)."""
    descriptor = getattr(stream, "_fid", None)
    if descriptor is None:
        return
    deadline = time.monotonic() + patience
    left = struct.pack("i", 0)
    try:
        while struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, left))[0]:
            if time.monotonic() > deadline:
                return
            time.sleep(0.0005)
    except OSError:
        return  # the cell closed the pipe


class WorkerKernel(IPythonKernel):
    """`IPythonKernel` without sockets: requests are handed to it, answers go to the stand-ins."""

    shell_stream = AnyTrait()
    control_stream = AnyTrait()
    debugpy_stream = AnyTrait()

    _execute_sleep = 0.0  # there is no second path that output could take and arrive late on

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.input_replies: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.debug_link: DebugLink | None = None

    @property
    def _supports_kernel_subshells(self) -> bool:
        return False

    def awaken(self, control_thread: Any) -> None:
        """After the fork: take on an identity of its own, and the control thread."""
        self.ident = self.session.session = str(uuid.uuid4())
        self._pid = self.session.pid = os.getpid()
        self.control_thread = control_thread
        self.control_stream.io_loop = control_thread.io_loop
        self._stdout, self._stderr = sys.stdout, sys.stderr

    def start(self) -> None:
        """Get ready to be handed requests (the base class registers on ZMQ streams here)."""
        self.shell.exit_now = False
        self.io_loop = IOLoop.current()
        self._control_lock = asyncio.Lock()
        self._main_asyncio_lock = asyncio.Lock()

    async def do_debug_request(self, msg: dict[str, Any]) -> Any:
        """Answer a debug request; the debugger is connected when the first one comes."""
        if msg["command"] == "initialize" and (refusal := refuse_to_start(msg)) is not None:
            return refusal
        if self.debug_link is None:
            self.debug_link = DebugLink(self)
        return await super().do_debug_request(msg)

    async def do_execute(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Run a cell; output that it wrote to a descriptor is part of it, and it always gets a reply."""
        try:
            reply = await super().do_execute(*args, **kwargs)
        except Exception as error:  # such as an exception of the user's whose `__str__` raises
            reply = self._failed_reply(error)
        self._repair_streams()
        if os.getpid() != self._pid:  # user code forked, and the child came back from the cell
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
        for stream in (self._stdout, self._stderr):
            drain(stream)
        return reply

    def _failed_reply(self, error: Exception) -> dict[str, Any]:
        shown = {
            "ename": type(error).__name__,
            "evalue": str(error),
            "traceback": traceback.format_exception(error),
        }
        self.send_response(self.iopub_socket, "error", shown)
        count = self.shell.execution_count - 1
        return {"status": "error", **shown, "execution_count": count, "user_expressions": {}, "payload": []}

    def _repair_streams(self) -> None:
        """Put back standard streams that the cell deleted; ipykernel flushes them after every request."""
        if getattr(sys, "stdout", None) is None:
            sys.stdout = self._stdout
        if getattr(sys, "stderr", None) is None:
            sys.stderr = self._stderr

    def _input_request(self, prompt: str, ident: Any, parent: Any, password: bool = False) -> str:
        """Ask the front end for a line; the base class polls a ZMQ socket for the reply."""
        sys.stdout.flush()
        sys.stderr.flush()
        while not self.input_replies.empty():
            self.input_replies.get()  # a stale reply, to a prompt that was interrupted
        content = json_clean({"prompt": prompt, "password": password})
        self.session.send(self.stdin_socket, "input_request", content, parent, ident=ident)
        try:
            value = self.input_replies.get()
        except KeyboardInterrupt:
            raise KeyboardInterrupt("Interrupted by user") from None
        if value == "\x04":
            raise EOFError
        return value
