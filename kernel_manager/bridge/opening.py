"""Puts a bridge together: sockets, client, session."""

from typing import Any

from jupyter_client.session import Session

from kernel_manager.bridge.bridge import Bridge
from kernel_manager.bridge.info import KernelInfo
from kernel_manager.bridge.kernel_session import KernelSession
from kernel_manager.bridge.sockets import Sockets
from kernel_manager.connect import new_client
from kernel_manager.settings import Settings

Json = dict[str, Any]

_REMOTE_INFO_SECONDS = 2.0
"""How long kernel_info waits for a remote broker; a local one has our own Python, so nobody need wait."""


def open_bridge(
    sockets: Sockets,
    signing: Session,
    settings: Settings,
    session_id: str,
    body: Json,
    *,
    fresh: bool = False,
) -> Bridge:
    """A bridge that serves: from `sockets` to the broker of `settings` and the session `session_id` there.

    `body` and `fresh` are as `KernelSession` takes them.
    """
    client = new_client(settings)
    info = KernelInfo(client, 0.0 if settings.endpoint is None else _REMOTE_INFO_SECONDS)
    bridge = Bridge(sockets, signing, KernelSession(client, session_id, body, fresh=fresh), info)
    bridge.start()
    return bridge
