"""What a kernel says of itself, known without waking a worker."""

import asyncio
import platform
import sys
from importlib.metadata import version
from typing import Any

from ipykernel._version import kernel_protocol_version

from kernel_manager.client.errors import KernelError
from kernel_manager.client.rest import AsyncClient

Json = dict[str, Any]

_LINKS = [
    {
        "text": "Python Reference",
        "url": f"https://docs.python.org/{sys.version_info[0]}.{sys.version_info[1]}",
    },
    {"text": "IPython Reference", "url": "https://ipython.readthedocs.io/en/stable/"},
]


def built_in_kernel_info() -> Json:
    """The answer while no broker can be asked: this environment's versions."""
    python = platform.python_version()
    ipython = version("ipython")
    return {
        "protocol_version": kernel_protocol_version,
        "implementation": "ipython",
        "implementation_version": ipython,
        "language_info": {
            "name": "python",
            "version": python,
            "mimetype": "text/x-python",
            "codemirror_mode": {"name": "ipython", "version": sys.version_info[0]},
            "pygments_lexer": f"ipython{sys.version_info[0]}",
            "nbconvert_exporter": "python",
            "file_extension": ".py",
        },
        "banner": f"Python {python}\nIPython {ipython} -- An enhanced Interactive Python.\n",
        "help_links": _LINKS,
        "supported_features": ["debugger"],
    }


class KernelInfo:
    """The broker's kernel_info, asked for once; the built-in one while it does not answer."""

    def __init__(self, client: AsyncClient, patience: float) -> None:
        """`patience`: seconds that a front end's question may wait for the broker."""
        self._client = client
        self._patience = patience
        self._known: Json | None = None
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = 0.0

    async def content(self) -> Json:
        """The content of a kernel_info_reply."""
        if self._known is None:
            await self._ask()
        return {"status": "ok", **(self._known or built_in_kernel_info())}

    async def close(self) -> None:
        """Stop asking."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    async def _ask(self) -> None:
        # The question outlives the wait: front ends repeat theirs impatiently, and none of them waits anew.
        loop = asyncio.get_running_loop()
        if self._asking is None or self._asking.done():
            self._asked_at = loop.time()
            self._asking = loop.create_task(self._learn())
        left = self._asked_at + self._patience - loop.time()
        if left > 0:
            await asyncio.wait({self._asking}, timeout=left)

    async def _learn(self) -> None:
        try:
            runtime = await self._client.runtime()
        except KernelError:
            return  # asked again when the next front end asks
        self._known = runtime["kernel_info"]
