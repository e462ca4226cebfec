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

import zmq.asyncio
from jupyter_client.session import Session

from kernel_manager.bridge.bridge import Bridge, KernelSession
from kernel_manager.bridge.environment import session_environment
from kernel_manager.bridge.sockets import CHANNELS, Address, KernelSockets
from kernel_manager.connect import new_client
from kernel_manager.settings import read_settings

_PARENT_CHECK_SECONDS = 1.0


def session_of(connection_file: str, key: str) -> str:
    """The session's id: the same when the front end restarts the process with the same file and key."""
    return "argv-" + hashlib.sha256(f"{connection_file}\0{key}".encode()).hexdigest()[:32]


def open_bridge(connection_file: str) -> Bridge:
    """Bind the sockets that the file names."""
    info: dict[str, Any] = json.loads(Path(connection_file).read_text())
    settings = read_settings()
    local = settings.endpoint is None
    keys = (info.get("curve_publickey"), info.get("curve_secretkey"))
    address = Address(
        transport=info["transport"],
        ip=info["ip"],
        ports={name: info[f"{name}_port"] for name in CHANNELS},
        curve_keys=(keys[0].encode(), keys[1].encode()) if keys[0] and keys[1] else None,
    )
    signing = Session(key=info["key"].encode(), signature_scheme=info["signature_scheme"])
    sockets = KernelSockets(zmq.asyncio.Context(), address, signing)
    body: dict[str, Any] = {
        "name": os.environ.get("JPY_SESSION_NAME", ""),
        "env": session_environment(os.environ, None, local=local),
    }
    if local:
        body["cwd"] = str(Path.cwd())
    session = KernelSession(session_of(str(Path(connection_file).absolute()), info["key"]), body)
    return Bridge(sockets, new_client(settings), session)


async def serve(connection_file: str) -> None:
    """Serve until a front end asks for shutdown, a signal comes, or the parent is gone."""
    bridge = open_bridge(connection_file)
    bridge.start()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, lambda: loop.create_task(bridge.interrupt()))
    loop.add_signal_handler(signal.SIGTERM, bridge.ended.set)
    orphaned = loop.create_task(_until_orphaned(bridge))
    await bridge.ended.wait()
    orphaned.cancel()
    await bridge.close()


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
