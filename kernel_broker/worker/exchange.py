"""Large bytes between the worker and the broker: in shared memory, or in frames where there is none.

    worker → broker   chunks {slot, names, sizes} · chunk {id} (in a frame)
    broker → worker   taken {slot}
    worker → broker   lost {ids}: as it saw them, the store has them damaged or not at all
    worker → broker   fetch {fetch, ids} · read {slot} · enough {fetch}
    broker → worker   pieces {fetch, slot, sizes | failure} · chunk {id, found} (in a frame)

The memory is the broker's (see `pool.exchange`). A slot that was handed over is not touched before it comes
back, so what is on its way takes no more room than the slots, however much is to be moved.
"""

import itertools
import mmap
import os
import queue
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from kernel_broker.wire.frames import Frame
from kernel_broker.worker.channel import Channel
from kernel_broker.worker.state.errors import StateUnavailable

Buffer = bytes | bytearray | memoryview

_AT_ONCE = 64
"""Chunks asked for at once where they come in frames."""

_PIECES = 4096
"""Pieces in a slot at most: what names them must fit in a frame."""


class _Memory:
    """The worker's map of the shared memory."""

    def __init__(self, descriptor: int, head: dict[str, Any]) -> None:
        self.slot: int = head["slot"]
        self.up: int = head["up"]
        self._map = mmap.mmap(descriptor, (self.up + head["down"]) * self.slot)
        os.close(descriptor)
        self.view = memoryview(self._map)

    def trim(self) -> None:
        """Give the memory of the worker's slots back to the system."""
        self._map.madvise(mmap.MADV_REMOVE, 0, self.up * self.slot)


class Exchange:
    """Called on the main thread by the state engine, and for each frame on the control thread."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._memory: _Memory | None = None
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._slot: int | None = None
        self._names: list[str] = []
        self._sizes: list[int] = []
        self._filled = self._dirty = 0
        self._answers: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._fetches = itertools.count()
        self._fetching: int | None = None

    # -- on the control thread -------------------------------------------------------------------

    def on_memory(self, frame: Frame) -> None:
        """The broker's memory has come, before anything else."""
        memory = _Memory(self._channel.descriptors.pop(0), frame.head)
        for slot in range(memory.up):
            self._free.put(slot)
        self._memory = memory

    def on_taken(self, frame: Frame) -> None:
        """A slot is the worker's again."""
        self._free.put(frame.head["slot"])

    def on_answer(self, frame: Frame) -> None:
        """Chunks have come; those that nobody waits for any more are given back."""
        number = frame.head.get("fetch")
        if number == self._fetching:
            self._answers.put(frame)
        else:
            self._hand_back(frame.head)

    # -- on the main thread: to the store --------------------------------------------------------

    def put(self, name: str, data: Buffer) -> None:
        """Give a chunk of the coming commit to the store; waits while much is on its way."""
        memory = self._memory
        if memory is None:
            self._channel.send(Frame("chunk", {"id": name}, [bytes(data)]))
            return
        if self._filled + len(data) > memory.slot or len(self._names) == _PIECES:
            self.flush()
        if self._slot is None:
            self._slot = self._free.get()
        start = self._slot * memory.slot + self._filled
        memory.view[start : start + len(data)] = data
        self._names.append(name)
        self._sizes.append(len(data))
        self._filled += len(data)

    def flush(self) -> None:
        """Send what was put."""
        if self._names:
            head = {"slot": self._slot, "names": self._names, "sizes": self._sizes}
            self._channel.send(Frame("chunks", head))
            self._dirty += self._filled
            self._slot, self._names, self._sizes, self._filled = None, [], [], 0

    def forget(self) -> None:
        """Let go of what was put and not sent: it belongs to a capture that came to nothing."""
        self._names, self._sizes, self._filled = [], [], 0

    def report_lost(self, names: Collection[str]) -> None:
        """Say which chunks the store has lost, so that they can be put again."""
        if names:
            self._channel.send(Frame("lost", {"ids": sorted(names)}))

    def settle(self) -> None:
        """A commit is made: what was sent for it has been taken, and the memory can go."""
        memory = self._memory
        if memory is None or self._dirty <= memory.slot // 4:
            return
        if self._free.qsize() + (self._slot is not None) == memory.up:
            memory.trim()
            self._dirty = 0

    # -- on the main thread: from the store ------------------------------------------------------

    def fetch(self, ids: Sequence[str]) -> Iterator[Buffer | None]:
        """Chunks in the order asked for, None for a missing one; each is valid until the next is asked for.

        Raises `StateUnavailable` if the store does not answer. One at a time: another one ends the first.
        """
        return self._fetch_pieces(ids) if self._memory is not None else self._fetch_chunks(ids)

    def _fetch_pieces(self, ids: Sequence[str]) -> Iterator[Buffer | None]:
        if not ids:
            return
        number, left = next(self._fetches), len(ids)
        self._fetching = number
        self._channel.send(Frame("fetch", {"fetch": number, "ids": list(ids)}))
        try:
            while left:
                if self._fetching != number:
                    raise RuntimeError("chunks were asked for while others were on their way")
                head = self._answers.get().head
                if head["fetch"] != number:
                    self._hand_back(head)
                    continue
                if head.get("failure") is not None:
                    left = 0
                    raise StateUnavailable(head["failure"])
                try:
                    yield from self._pieces(head)
                finally:
                    self._hand_back(head)
                left -= len(head["sizes"])
        finally:
            if self._fetching == number:
                self._fetching = None
            if left:
                self._channel.send(Frame("enough", {"fetch": number}))
                while self._fetching is None and not self._answers.empty():
                    self._hand_back(self._answers.get().head)

    def _pieces(self, head: dict[str, Any]) -> Iterator[Buffer | None]:
        assert self._memory is not None
        start = (self._memory.up + head["slot"]) * self._memory.slot
        for size in head["sizes"]:
            if size < 0:
                yield None
                continue
            yield self._memory.view[start : start + size]
            start += size

    def _hand_back(self, head: dict[str, Any]) -> None:
        if head.get("failure") is None:
            self._channel.send(Frame("read", {"slot": head["slot"]}))

    def _fetch_chunks(self, ids: Sequence[str]) -> Iterator[Buffer | None]:
        for start in range(0, len(ids), _AT_ONCE):
            batch = ids[start : start + _AT_ONCE]
            self._channel.send(Frame("fetch", {"ids": list(batch)}))
            coming = len(batch)
            try:
                while coming:
                    frame = self._answers.get()
                    coming -= 1
                    if frame.head.get("failure") is not None:
                        coming = 0
                        raise StateUnavailable(frame.head["failure"])
                    yield frame.parts[0] if frame.head["found"] else None
            finally:
                for _ in range(coming):  # whoever asks next must not be given these
                    self._answers.get()
