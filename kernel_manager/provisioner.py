"""A Jupyter kernel provisioner without a local process: the kernel is a session of a broker.

Source of the order of calls: jupyter_client 8.10, `KernelProvisionerBase` and `KernelManager`.
"""

import asyncio
import os
import signal
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import KernelProvisionerBase
from jupyter_client.session import Session
from traitlets import Float, Unicode

from kernel_manager.bridge.bridge import Bridge, KernelSession
from kernel_manager.bridge.environment import session_environment
from kernel_manager.bridge.loop import bridge_loop
from kernel_manager.bridge.sockets import CHANNELS, Address, KernelSockets
from kernel_manager.connect import new_client
from kernel_manager.settings import Settings, read_settings

_EXIT_STATUS = 0


class ServerlessProvisioner(KernelProvisionerBase):
    """Starts, interrupts, restarts and ends a session as if it were a process.

    The kernel counts as alive as long as its session exists, whether or not a pod holds it at the moment.
    """

    url = Unicode("", help="the broker's URL; empty: SERVERLESS_KERNEL_URL, else a local broker").tag(
        config=True
    )
    token = Unicode("", help="the broker's token").tag(config=True)
    session_id = Unicode("", help="the session to open; empty: the kernel's id").tag(config=True)
    name = Unicode("", help="the session's name; empty: the notebook's path").tag(config=True)
    delete_patience = Float(5.0, help="seconds to wait for a broker when a kernel is shut down").tag(
        config=True
    )

    _bridge: Bridge | None = None
    _alive = False

    @property
    def has_process(self) -> bool:
        """Whether the kernel has been launched."""
        return self._alive

    async def poll(self) -> int | None:
        """None while the session exists."""
        return None if self._alive and not self._has_ended() else _EXIT_STATUS

    def _has_ended(self) -> bool:
        return self._bridge is not None and self._bridge.ended.is_set()

    async def wait(self) -> int | None:
        """Wait until a front end has asked for shutdown."""
        if self._bridge is not None:
            await bridge_loop().call(self._bridge.ended.wait())
        return _EXIT_STATUS

    async def send_signal(self, signum: int) -> None:
        """SIGINT interrupts the running cell, SIGTERM and SIGKILL end the kernel."""
        if self._bridge is None or signum == 0:
            return
        if signum == signal.SIGINT:
            await bridge_loop().call(self._bridge.interrupt())
        elif signum in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
            await self.kill()

    async def kill(self, restart: bool = False) -> None:
        """End the session, or give it a fresh namespace."""
        if self._bridge is not None:
            work = self._bridge.restart() if restart else self._bridge.forget()
            await self._within_patience(work)
        self._alive = False

    async def terminate(self, restart: bool = False) -> None:
        """The same as `kill`: there is nothing that could refuse to end."""
        await self.kill(restart)

    async def cleanup(self, restart: bool = False) -> None:
        """Let go of the sockets; over a restart they stay bound."""
        self._alive = False
        if restart or self._bridge is None:
            return
        bridge, self._bridge = self._bridge, None
        await bridge_loop().call(bridge.close())

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Nothing to prepare: ports are bound at launch, and there is no command."""
        kwargs.pop("extra_arguments", None)
        return await super().pre_launch(cmd=[], **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:  # noqa: ARG002
        """Bind the sockets and return at once; the broker is looked for behind it."""
        if self._bridge is None:
            settings = read_settings(url=self.url or None, token=self.token or None, python=self._python())
            session = self._describe_session(settings, kwargs)
            self._bridge = await bridge_loop().call(self._open(settings, session))
        else:
            self._bridge.ended.clear()
        self._alive = True
        return self.connection_info

    def _python(self) -> str | None:
        """The interpreter of a kernelspec that was installed from another environment."""
        command = self.kernel_spec.argv[:1] if self.kernel_spec is not None else []
        return command[0] if command and os.path.isabs(command[0]) else None  # noqa: PTH117

    def _describe_session(self, settings: Settings, launch: dict[str, Any]) -> KernelSession:
        environment = launch.get("env") or {}
        body: dict[str, Any] = {
            "name": self.name or environment.get("JPY_SESSION_NAME", ""),
            "env": session_environment(environment, self.kernel_spec, local=settings.endpoint is None),
        }
        if settings.endpoint is None:
            body["cwd"] = os.path.abspath(launch.get("cwd") or os.getcwd())  # noqa: PTH100, PTH109
        return KernelSession(self.session_id or self.kernel_id, body)

    async def _open(self, settings: Settings, session: KernelSession) -> Bridge:
        manager: Any = self.parent
        keys = (manager.curve_publickey, manager.curve_secretkey)
        address = Address(
            transport=manager.transport,
            ip=manager.ip,
            ports={name: getattr(manager, f"{name}_port") for name in CHANNELS},
            curve_keys=keys if all(keys) else None,
        )
        signing = Session(key=manager.session.key, signature_scheme=manager.session.signature_scheme)
        sockets = KernelSockets(bridge_loop().context, address, signing)
        self.connection_info = {
            "transport": address.transport,
            "ip": address.ip,
            "key": signing.key,
            "signature_scheme": signing.signature_scheme,
            **{f"{name}_port": port for name, port in sockets.ports.items()},
        }
        if address.curve_keys is not None:
            self.connection_info |= {
                "curve_publickey": keys[0].decode(),
                "curve_secretkey": keys[1].decode(),
            }
        bridge = Bridge(sockets, new_client(settings), session)
        bridge.start()
        return bridge

    async def shutdown_requested(self, restart: bool = False) -> None:
        """The shutdown_request that came before this has done it all."""

    async def _within_patience(self, work: Any) -> None:
        try:
            async with asyncio.timeout(self.delete_patience):
                await bridge_loop().call(work)
        except TimeoutError:
            self.log.warning("the broker does not answer; the session ends by its time to live")
