"""Both kernels behind one face, each opened and driven as its users do."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from benchmarks.place import OURS, PEER, LocalBroker
from kernel_manager import Session

_PATIENCE = 60.0


class Kernel(Protocol):
    """One open kernel."""

    def ask(self, code: str, expression: str) -> str:
        """Run code, and return the repr of an expression after it; works from the first moment on."""

    def run(self, code: str) -> None:
        """Run code, until the front end would show it as done."""

    def close(self) -> None:
        """End the kernel and forget it."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A kind of kernel, as the report calls it, and how to open one."""

    label: str
    open: Callable[[], Kernel]


class JupyterKernel:
    """A kernel behind a KernelManager and a blocking client, both as jupyter_client makes them."""

    def __init__(self, kernel_name: str) -> None:
        self._manager = KernelManager(kernel_name=kernel_name)
        self._manager.start_kernel(stderr=subprocess.DEVNULL)  # ipykernel warns at every start
        self._client: BlockingKernelClient = self._manager.blocking_client()
        self._client.start_channels()

    def ask(self, code: str, expression: str) -> str:
        # Neither wait_for_ready (it waits 0.2 s to be sure) nor iopub (who subscribes late misses the first).
        asked = self._client.execute(code, user_expressions={"answer": expression})
        answer = self._reply_to(asked)["user_expressions"]["answer"]
        return str(answer["data"]["text/plain"])

    def run(self, code: str) -> None:
        asked = self._client.execute(code)
        self._reply_to(asked)
        while True:
            message = self._client.get_iopub_msg(timeout=_PATIENCE)
            ours = message["parent_header"].get("msg_id") == asked
            if ours and message["content"].get("execution_state") == "idle":
                return

    def wait_ready(self) -> None:
        """Wait until every channel is connected."""
        self._client.wait_for_ready(timeout=_PATIENCE)

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def _reply_to(self, asked: str) -> dict[str, Any]:
        while True:
            reply: dict[str, Any] = self._client.get_shell_msg(timeout=_PATIENCE)
            if reply["parent_header"].get("msg_id") == asked:
                break
        content: dict[str, Any] = reply["content"]
        if content["status"] != "ok":
            raise RuntimeError(f"a cell failed: {content}")
        return content


class SdkKernel:
    """A session of ours, through the SDK."""

    def __init__(self) -> None:
        self.session = Session()

    def ask(self, code: str, expression: str) -> str:
        return str(self.session.execute(f"{code}\n{expression}", raise_on_error=True).text)

    def run(self, code: str) -> None:
        self.session.execute(code, raise_on_error=True)

    def close(self) -> None:
        self.session.close()


def peer() -> Subject:
    """ipykernel, local."""
    return Subject("ipykernel", lambda: JupyterKernel(PEER))


def through_client(broker: LocalBroker) -> Subject:
    """Our kernel in a Jupyter front end."""

    def open_kernel() -> JupyterKernel:
        with broker.chosen():
            return JupyterKernel(OURS)

    return Subject(f"Jupyter client, {broker.name}", open_kernel)


def through_sdk(broker: LocalBroker) -> Subject:
    """Our kernel without Jupyter."""

    def open_kernel() -> SdkKernel:
        with broker.chosen():
            return SdkKernel()

    return Subject(f"SDK, {broker.name}", open_kernel)


def timed(action: Callable[[], object]) -> float:
    """Milliseconds that an action takes."""
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000
