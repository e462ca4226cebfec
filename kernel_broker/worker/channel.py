"""The worker's end of the socket to the broker: frames out from any thread, frames in on the control loop.

Nothing is ever written from the caller's thread: an interrupt raised half-way through a write would tear a
frame. Callers append to a queue; the control thread's event loop writes, and goes on reading meanwhile, so
that an interrupt gets in however slowly the broker takes the output.
"""

import asyncio
import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable

from kernel_broker.wire.frames import Frame, FrameDecoder, encode

QUEUE_LIMIT = 32 * 2**20
"""Bytes waiting to be written beyond which a sender must wait."""

RELAY_LIMIT = 128 * 2**10
"""Largest message a process forked by user code may send (one datagram)."""

_READ_SIZE = 2**20
_CLOSED_BY_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Channel:
    """Frames over one connected stream socket, driven by the event loop of the control thread."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._loop = loop
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._decoder = FrameDecoder()
        self._queue: deque[memoryview] = deque()
        self._queued = 0
        self._writing = False
        self._room = threading.Event()
        self._room.set()
        self._pid = os.getpid()
        self.descriptors: list[int] = []
        """Open files that came along with frames and were not taken yet."""
        self._relay_in, self._relay_out = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    def open(self, on_frame: Callable[[Frame], None], on_close: Callable[[], None]) -> None:
        """Start reading; called on the control loop. `on_close` is called once, when the broker is gone."""
        self._on_frame, self._on_close = on_frame, on_close
        self._relay_in.setblocking(False)
        self._loop.add_reader(self._sock, self._readable)
        self._loop.add_reader(self._relay_in, self._relayed)

    def has_unread(self) -> bool:
        """Whether something has come that is not read yet; asked from any thread."""
        return bool(self._poll.poll(0))

    def send(self, frame: Frame) -> None:
        """Queue a frame, in order with all others; waits while the queue is over its limit.

        In a process that user code forked, the frame goes through the worker instead, if it is small.
        """
        buffers = encode(frame)
        if os.getpid() != self._pid:
            self._send_from_child(buffers)
            return
        if threading.current_thread().name != "Control":
            self._room.wait()
        self._loop.call_soon_threadsafe(self._enqueue, buffers)

    def _send_from_child(self, buffers: list[bytes]) -> None:
        datagram = b"".join(buffers)
        if len(datagram) <= RELAY_LIMIT:
            self._relay_out.send(datagram)

    def _enqueue(self, buffers: list[bytes]) -> None:
        for buffer in buffers:
            if buffer:
                self._queue.append(memoryview(buffer).cast("B"))
                self._queued += len(buffer)
        if self._queued > QUEUE_LIMIT:
            self._room.clear()
        if not self._writing:
            self._write()

    def _write(self) -> None:
        try:
            while self._queue:
                sent = self._sock.sendmsg(list(_take(self._queue, 64)))
                self._queued -= sent
                self._consume(sent)
        except BlockingIOError:
            if not self._writing:
                self._writing = True
                self._loop.add_writer(self._sock, self._write)
            return
        except OSError:
            self._close()
            return
        if self._queued <= QUEUE_LIMIT // 2:
            self._room.set()
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._sock)

    def _consume(self, sent: int) -> None:
        while sent:
            first = self._queue[0]
            if sent < len(first):
                self._queue[0] = first[sent:]
                return
            sent -= len(first)
            self._queue.popleft()

    def _readable(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._sock, _READ_SIZE, 1, _CLOSED_BY_EXEC)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        if not data:
            self._close()
            return
        self.descriptors += descriptors
        try:
            self._decoder.feed(data)
            for frame in self._decoder:
                self._on_frame(frame)
        except Exception:  # user code has broken what this process stands on: better none than a deaf one
            self._close()

    def _relayed(self) -> None:
        decoder = FrameDecoder()
        decoder.feed(self._relay_in.recv(RELAY_LIMIT + 1))
        for frame in decoder:
            if frame.kind == "jupyter":
                self._enqueue(encode(frame))

    def _close(self) -> None:
        self._loop.remove_reader(self._sock)
        self._on_close()


def _take(queue: deque[memoryview], count: int) -> list[memoryview]:
    return [queue[i] for i in range(min(count, len(queue)))]
