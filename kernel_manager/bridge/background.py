"""What threads and tasks publish after their cell has ended."""

import asyncio
import logging

from kernel_manager.bridge.kernel_session import KernelSession
from kernel_manager.bridge.voice import Voice
from kernel_manager.client.errors import KernelError, NotFound

log = logging.getLogger(__name__)


class Background:
    """Passes on a session's stray output as long as there is any."""

    def __init__(self, kernel: KernelSession, voice: Voice) -> None:
        self._kernel = kernel
        self._voice = voice
        self._task: asyncio.Task[None] | None = None
        self._due = False

    def follow(self) -> None:
        """A cell has left threads or tasks behind. While others are followed, it is these afterwards."""
        self._due = True
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._follow())

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _follow(self) -> None:
        try:
            while self._due:
                self._due = False
                async for event in self._kernel.client.attach(self._kernel.session_id, "background"):
                    if event["event"] == "message":
                        self._voice.relay(event)
        except NotFound:
            pass  # it ended before we asked
        except KernelError as error:
            log.info("background output cannot be followed: %s", error)
        finally:
            self._task = None
