"""A Jupyter kernel provisioner without a local process: the kernel is a session of a broker.

Source of the order of calls: jupyter_client 8.10, `KernelProvisionerBase` and `KernelManager`.
"""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

import zmq
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import KernelProvisionerBase
from jupyter_client.session import Session
from traitlets import Float, Unicode

from kernel_manager.bridge.bridge import Bridge
from kernel_manager.bridge.environment import session_environment
from kernel_manager.bridge.home import Home, move_in, move_out
from kernel_manager.bridge.opening import open_bridge
from kernel_manager.bridge.sockets import CHANNELS, Address, Curve, Sockets
from kernel_manager.settings import Settings, read_settings

T = TypeVar("T")

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

    _home: Home | None = None
    _bridge: Bridge | None = None
    _alive = False

    @property
    def has_process(self) -> bool:
        """Whether the kernel has been launched."""
        return self._alive

    async def poll(self) -> int | None:
        """None while the session exists."""
        ended = self._bridge is not None and self._bridge.ended.is_set()
        return None if self._alive and not ended else _EXIT_STATUS

    async def wait(self) -> int | None:
        """Wait until a front end has asked for shutdown."""
        if self._alive and self._bridge is not None:
            await self._call(self._bridge.ended.wait())
        return _EXIT_STATUS

    async def send_signal(self, signum: int) -> None:
        """SIGINT interrupts the running cell, SIGTERM and SIGKILL end the kernel."""
        if self._bridge is None or signum == 0:
            return
        if signum == signal.SIGINT:
            await self._call(self._bridge.interrupt())
        elif signum in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
            await self.kill()

    async def kill(self, restart: bool = False) -> None:
        """End the session, or give it a fresh namespace."""
        if self._bridge is not None:
            work = self._bridge.restart() if restart else self._bridge.forget()
            try:
                async with asyncio.timeout(self.delete_patience):
                    await self._call(work)
            except TimeoutError:
                self.log.warning("the broker does not answer; the session ends by its time to live")
        self._alive = False

    async def terminate(self, restart: bool = False) -> None:
        """The same as `kill`: there is nothing that could refuse to end."""
        await self.kill(restart)

    async def cleanup(self, restart: bool = False) -> None:
        """Let go of the sockets; over a restart they stay bound."""
        self._alive = False
        if restart or self._home is None:
            return
        home, self._home = self._home, None
        bridge, self._bridge = self._bridge, None
        if bridge is not None:
            await home.call(bridge.close())
        move_out(home)

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Nothing to prepare: ports are bound at launch, and there is no command."""
        kwargs.pop("extra_arguments", None)
        return await super().pre_launch(cmd=[], **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:  # noqa: ARG002
        """Bind the sockets and return at once; the broker is looked for behind it."""
        if self._home is None:
            self._home = move_in()
        if self._bridge is None:
            settings = read_settings(url=self.url or None, token=self.token or None, python=self._python())
            body = self._describe_session(settings, kwargs)
            try:
                self._bridge = await self._call(self._open(settings, body))
            except BaseException:
                await self.cleanup()
                raise
        else:
            await self._call(self._start_again(self._bridge))
        self._alive = True
        return self.connection_info

    async def _call(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._home is not None
        return await self._home.call(work)

    async def _start_again(self, bridge: Bridge) -> None:
        bridge.start()

    def _python(self) -> str | None:
        """The interpreter of a kernelspec that was installed from another environment."""
        command = self.kernel_spec.argv[:1] if self.kernel_spec is not None else []
        return command[0] if command and os.path.isabs(command[0]) else None  # noqa: PTH117

    def _describe_session(self, settings: Settings, launch: dict[str, Any]) -> dict[str, Any]:
        environment = launch.get("env") or {}
        body: dict[str, Any] = {
            "name": self.name or environment.get("JPY_SESSION_NAME", ""),
            "env": session_environment(environment, self.kernel_spec, local=settings.endpoint is None),
        }
        if settings.endpoint is None:
            body["cwd"] = os.path.abspath(launch.get("cwd") or os.getcwd())  # noqa: PTH100, PTH109
        return body

    async def _open(self, settings: Settings, body: dict[str, Any]) -> Bridge:
        manager: Any = self.parent
        ports = {name: getattr(manager, f"{name}_port") for name in CHANNELS}
        address = Address(manager.transport, manager.ip, ports, _choose_keys(manager))
        signing = Session(key=manager.session.key, signature_scheme=manager.session.signature_scheme)
        assert self._home is not None
        sockets = Sockets(self._home.context, address)
        self.connection_info = {
            "transport": address.transport,
            "ip": address.ip,
            "key": signing.key,
            "signature_scheme": signing.signature_scheme,
            **{f"{name}_port": port for name, port in sockets.ports.items()},
        }
        if address.curve is not None:
            self.connection_info |= {
                "curve_publickey": address.curve.public.decode(),
                "curve_secretkey": address.curve.secret.decode(),
            }
        return open_bridge(sockets, signing, settings, self.session_id or self.kernel_id, body)

    async def shutdown_requested(self, restart: bool = False) -> None:
        """The shutdown_request that came before this has done it all."""


def _choose_keys(manager: Any) -> Curve | None:
    """Keys for CurveZMQ if the manager wants it, as jupyter_client's own provisioner chooses them."""
    public, secret = getattr(manager, "curve_publickey", None), getattr(manager, "curve_secretkey", None)
    if not (public and secret):
        if getattr(manager, "transport_encryption", "disabled") == "disabled":
            return None
        public, secret = zmq.curve_keypair()
        manager.curve_publickey, manager.curve_secretkey = public, secret
    return Curve(public, secret)
