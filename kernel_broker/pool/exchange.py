"""Memory that the broker shares with one worker: large bytes cross in it, frames only say where they are.

The broker makes it and seals its size before the worker gets it, so that nothing a worker does to it can
harm the broker; no descriptor is ever taken from a worker. Its first `UP` slots belong to the worker, which
fills one and gets it back when its bytes are in the store; the others belong to the broker, and are read
the other way round.
"""

import fcntl
import mmap
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from kernel_broker.wire.frames import Frame, FrameError, encode

SLOT: Final = 4 * 2**20
UP: Final = 4
DOWN: Final = 4

Buffer = bytes | memoryview


class Exchange:
    """The broker's side of the memory; pages that nobody fills take no room."""

    def __init__(self) -> None:
        size = (UP + DOWN) * SLOT
        descriptor = os.memfd_create("exchange", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(descriptor, size)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
            memory = mmap.mmap(descriptor, size)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self._memory: mmap.mmap | None = memory
        self._view = memoryview(memory)

    def hand_over(self, sock: socket.socket) -> None:
        """Give the memory to the worker at the other end, as the first that it is sent."""
        head = {"slot": SLOT, "up": UP, "down": DOWN}
        with suppress(OSError):  # its end is heard where its frames are read
            socket.send_fds(sock, [b"".join(encode(Frame("exchange", head)))], [self._descriptor])
        os.close(self._descriptor)

    def read(self, slot: Any, sizes: Any) -> list[memoryview]:
        """The pieces that the worker has put in one of its slots; raises `FrameError` if that cannot be."""
        if slot not in range(UP) or not all(type(size) is int and size >= 0 for size in sizes):
            raise FrameError("a worker names a slot that is not its own")
        if sum(sizes) > SLOT:
            raise FrameError("a worker names more than fits in a slot")
        view, start, pieces = self._view.toreadonly(), slot * SLOT, []
        for size in sizes:
            pieces.append(view[start : start + size])
            start += size
        return pieces

    def write(self, slot: int, pieces: Sequence[Buffer | None]) -> list[int]:
        """Put pieces in one of the broker's slots; their sizes, -1 for None. Raises `ConnectionError`."""
        if self._memory is None:
            raise ConnectionError("the worker has been let go")
        start = (UP + slot) * SLOT
        for piece in pieces:
            if piece is not None:
                self._view[start : start + len(piece)] = piece
                start += len(piece)
        return [-1 if piece is None else len(piece) for piece in pieces]

    def trim(self) -> None:
        """Give the memory of the broker's slots back to the system; none of them may be in use."""
        if self._memory is not None:
            self._memory.madvise(mmap.MADV_REMOVE, UP * SLOT, DOWN * SLOT)

    def close(self) -> None:
        """Let go of the memory: it goes when the last who reads a piece of it does."""
        self._view.release()
        self._memory = None


def make_exchange() -> Exchange | None:
    """The memory for a new worker; None where the system has no such thing: then all goes in frames."""
    return Exchange() if hasattr(os, "memfd_create") and hasattr(mmap, "MADV_REMOVE") else None
