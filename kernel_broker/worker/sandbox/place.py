"""Where one worker is put: the sandbox of all, and the folders that are its alone."""

import os

from kernel_broker.worker.sandbox import commands, shared_memory
from kernel_broker.worker.sandbox.plan import Sandbox
from kernel_broker.worker.sandbox.private import Own


class Place:
    """Made before the fork; entered by the worker, closed by the zygote."""

    def __init__(self, sandbox: Sandbox, own: Own | None) -> None:
        self.own = own
        self._sandbox = sandbox
        self._opened = sandbox.open(own)

    def enter(self) -> None:
        """Shut this process in, and have it use its own folders; raises `OSError`."""
        self._sandbox.enter(self.own, self._opened)
        if self.own is not None:
            shared_memory.keep_in(self.own.shared_memory)
            commands.use_pipes()

    def close(self) -> None:
        """Let go of the folders."""
        for path in self._opened:
            os.close(path.descriptor)
