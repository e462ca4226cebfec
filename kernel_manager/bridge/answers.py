"""What is answered here, so that nobody's question wakes a sleeping session."""

from collections.abc import Mapping
from typing import Any, Final

from kernel_manager.bridge.info import KernelInfo
from kernel_manager.bridge.kernel_session import KernelSession
from kernel_manager.bridge.request import Request

Json = dict[str, Any]

_COLD_DEBUGGER: Final[Json] = {
    "isStarted": False,
    "hashMethod": "Murmur2",
    "hashSeed": 0xC70F6907,
    "tmpFilePrefix": "",
    "tmpFileSuffix": ".py",
    "breakpoints": [],
    "stoppedThreads": [],
    "richRendering": True,
    "exceptionPaths": ["Python Exceptions"],
    "copyToGlobals": True,
}
"""What ipykernel says of a debugger that was not started; a front end asks again once it is."""


class Answers:
    """Knows what a kernel can say of itself without its namespace."""

    def __init__(self, info: KernelInfo, kernel: KernelSession, ports: Mapping[str, int]) -> None:
        self._info = info
        self._kernel = kernel
        self._ports = ports

    async def find(self, request: Request) -> Json | None:
        """The content of the reply; None if a worker must be asked."""
        match request.msg_type:
            case "kernel_info_request" if request.channel == "control" and await self._is_awake():
                return None  # it is what code that looks at its control channel's parent expects
            case "kernel_info_request":
                return await self._info.content()
            case "connect_request":
                return {"status": "ok", **{f"{name}_port": port for name, port in self._ports.items()}}
            case "comm_info_request":
                return await self._comms(request.content.get("target_name"))
            case "debug_request" if request.content.get("command") == "debugInfo":
                return None if await self._is_awake() else _debugger(request.content.get("seq", 0))
        return None

    async def _is_awake(self) -> bool:
        session = await self._kernel.describe()
        return session is not None and session["state"] != "cold"

    async def _comms(self, target: str | None) -> Json | None:
        session = await self._kernel.describe() or {"state": "cold", "comms": {}}
        if session["state"] != "cold":
            return None
        comms = session["comms"].items()
        found = {comm_id: comm for comm_id, comm in comms if target in (None, comm["target_name"])}
        return {"status": "ok", "comms": found}


def _debugger(seq: int) -> Json:
    head = {"type": "response", "request_seq": seq, "success": True, "command": "debugInfo"}
    return {**head, "body": _COLD_DEBUGGER}
