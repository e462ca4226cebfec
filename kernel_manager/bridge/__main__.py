"""`python -m kernel_manager.bridge -f CONNECTION_FILE`: the bridge as a process of its own.

For front ends that start kernels by their kernelspec's `argv` and know no provisioners.
"""

import argparse
import asyncio
import hashlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.session import Session

from kernel_manager.bridge.bridge import Bridge
from kernel_manager.bridge.environment import session_environment
from kernel_manager.bridge.opening import open_bridge
from kernel_manager.bridge.sockets import CHANNELS, Address, Curve, Sockets
from kernel_manager.settings import read_settings

_PARENT_CHECK_SECONDS = 1.0


def session_of(connection_file: str, key: str) -> str:
    """The session's id: the same when the front end restarts the process with the same file and key."""
    return "argv-" + hashlib.sha256(f"{connection_file}\0{key}".encode()).hexdigest()[:32]


async def serve(connection_file: str) -> None:
    """Serve until a front end asks for shutdown, a signal comes, or the parent is gone."""
    bridge = _open(connection_file)
    loop = asyncio.get_running_loop()
    interrupts: set[asyncio.Task[None]] = set()
    loop.add_signal_handler(signal.SIGINT, lambda: interrupts.add(loop.create_task(bridge.interrupt())))
    loop.add_signal_handler(signal.SIGTERM, bridge.ended.set)
    orphaned = loop.create_task(_until_orphaned(bridge))
    await bridge.ended.wait()
    orphaned.cancel()
    await bridge.close()


def _open(connection_file: str) -> Bridge:
    """Bind the sockets that the file names. A process starts with a fresh namespace, as any kernel's does."""
    info: dict[str, Any] = json.loads(Path(connection_file).read_text())
    public, secret = info.get("curve_publickey"), info.get("curve_secretkey")
    address = Address(
        transport=info["transport"],
        ip=info["ip"],
        ports={name: info[f"{name}_port"] for name in CHANNELS},
        curve=Curve(public.encode(), secret.encode()) if public and secret else None,
    )
    signing = Session(key=info["key"].encode(), signature_scheme=info["signature_scheme"])
    settings = read_settings()
    local = settings.endpoint is None
    body: dict[str, Any] = {
        "name": os.environ.get("JPY_SESSION_NAME", ""),
        "env": session_environment(os.environ, None, local=local),
    }
    if local:
        body["cwd"] = str(Path.cwd())
    session_id = session_of(str(Path(connection_file).absolute()), info["key"])
    sockets = Sockets(zmq.Context(), address)
    return open_bridge(sockets, signing, settings, session_id, body, fresh=True)


async def _until_orphaned(bridge: Bridge) -> None:
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110  (a parent's death sends no event that is portable)
        await asyncio.sleep(_PARENT_CHECK_SECONDS)
    await bridge.forget()
    bridge.ended.set()


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m kernel_manager.bridge", description=__doc__)
    parser.add_argument("-f", dest="connection_file", required=True, help="the kernel's connection file")
    asyncio.run(serve(parser.parse_args().connection_file))


if __name__ == "__main__":
    main()
