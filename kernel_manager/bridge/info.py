"""What a kernel says of itself, known without waking a worker."""

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
    """The broker's kernel_info, asked for once; the built-in one until it answers."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._known: Json | None = None

    async def fetch(self) -> None:
        """Ask the broker; the built-in answer stays if it does not."""
        try:
            runtime = await self._client.runtime()
        except KernelError:
            return
        self._known = runtime["kernel_info"]

    @property
    def content(self) -> Json:
        """The content of a kernel_info_reply."""
        return {"status": "ok", **(self._known or built_in_kernel_info())}
