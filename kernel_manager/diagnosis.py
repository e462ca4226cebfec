"""Checks of a set-up, for `serverless-kernel doctor`: each says what it found, and what to do about it."""

import asyncio
import os
import platform
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Any, Final, Literal

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

from kernel_manager.client.endpoint import Endpoint
from kernel_manager.client.errors import KernelError, Unauthorized
from kernel_manager.client.rest import AsyncClient
from kernel_manager.connect import to_connect
from kernel_manager.install import PROVISIONER
from kernel_manager.launch import installed_version
from kernel_manager.local import read_status
from kernel_manager.settings import KERNEL_NAME, PRODUCT, LocalSettings, Settings

Level = Literal["ok", "warn", "fail"]

_PACKAGES: Final = (PRODUCT, "ipykernel", "jupyter-client", "httpx", "fastapi", "uvicorn", "redis", "dill")
_PATIENCE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `advice` says what to do if it is not ok."""

    level: Level
    subject: str
    detail: str
    advice: str = ""


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Every check, in the order in which things depend on each other."""
    yield check_python()
    for finding in check_packages():
        yield finding
    yield check_kernelspec()
    yield check_provisioner()
    if settings.endpoint is None and sys.platform == "linux":
        yield check_local_folder(settings.local)
    async with AsyncClient(to_connect(settings), patience=_PATIENCE) as client:
        async for finding in check_broker(client, settings.endpoint):
            yield finding
    if settings.endpoint is None:
        yield check_local_version(settings.local)


def check_python() -> Finding:
    """Whether this interpreter can run everything."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()} ({sys.executable})"
    if sys.platform != "linux":
        return Finding("warn", "python", found, "local brokers need Linux: set SERVERLESS_KERNEL_URL")
    return Finding("ok", "python", found)


def check_packages() -> Iterator[Finding]:
    """What is installed beside this interpreter."""
    for name in _PACKAGES:
        try:
            yield Finding("ok", name, version(name))
        except PackageNotFoundError:
            yield Finding("fail", name, "not installed", f"{sys.executable} -m pip install {name}")


def check_kernelspec() -> Finding:
    """Whether Jupyter sees a kernel of ours."""
    manager = KernelSpecManager()
    try:
        spec = manager.get_kernel_spec(KERNEL_NAME)
    except NoSuchKernel:
        return Finding(
            "fail",
            "kernelspec",
            f"Jupyter does not see {KERNEL_NAME} in any of {', '.join(manager.kernel_dirs)}",
            "run `serverless-kernel install --sys-prefix` (or --user), as after an editable install",
        )
    stanza = spec.metadata.get("kernel_provisioner", {})
    if stanza.get("provisioner_name") != PROVISIONER:
        return Finding(
            "fail",
            "kernelspec",
            f"{spec.resource_dir} names no provisioner of ours",
            "run `serverless-kernel install` again",
        )
    return Finding("ok", "kernelspec", str(spec.resource_dir))


def check_provisioner() -> Finding:
    """Whether Jupyter can load our provisioner: without it the kernel is hidden."""
    found = entry_points(group="jupyter_client.kernel_provisioners", name=PROVISIONER)
    for entry in found:
        try:
            entry.load()
        except Exception as error:
            return Finding("fail", "provisioner", f"{entry.value}: {error}", "reinstall the package")
        return Finding("ok", "provisioner", entry.value)
    return Finding("fail", "provisioner", "no entry point", "reinstall the package: its metadata is missing")


def check_local_folder(local: LocalSettings) -> Finding:
    """Whether the local broker's folder is the user's alone."""
    folder = local.runtime_dir
    if not folder.exists():
        return Finding("ok", "local folder", f"{folder} (made when needed)")
    found = folder.lstat()
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        return Finding("fail", "local folder", f"{folder} is open to others", f"chmod 700 {folder}")
    return Finding("ok", "local folder", str(folder))


async def check_broker(client: AsyncClient, endpoint: Endpoint | None) -> AsyncIterator[Finding]:
    """Whether the broker answers, lets us in, has its store and workers, and which Python it runs."""
    name = str(endpoint) if endpoint is not None else "local, started when needed"
    try:
        await client.sessions()
    except Unauthorized as error:
        yield Finding("fail", "broker", f"{name}: {error}", "set SERVERLESS_KERNEL_TOKEN to its token")
        return
    except KernelError as error:
        advice = "check SERVERLESS_KERNEL_URL and the network" if endpoint else "see its log, shown above"
        yield Finding("fail", "broker", f"{name}: {error}", advice)
        return
    yield Finding("ok", "broker", f"{name}; it answers and accepts the token")
    try:
        said = await client.ready()
        yield Finding("ok", "store, workers", "ready")
        yield describe_sandbox(said.get("sandbox") or {})
        yield compare_python(await client.runtime())
    except KernelError as error:
        yield Finding("fail", "store, workers", str(error), "see the broker's log and its /readyz")


def describe_sandbox(sandbox: dict[str, Any]) -> Finding:
    """What keeps the sessions of the broker apart."""
    level = sandbox.get("level", "off")
    if level == "off":
        return Finding("ok", "sandbox", "off: cells have the rights of the broker's user")
    detail = f"{level}, network {sandbox['network']}: {', '.join(sandbox['layers'])}"
    if sandbox["missing"]:
        without = "; ".join(f"{layer} ({reason})" for layer, reason in sandbox["missing"].items())
        advice = "run one broker per tenant, or use a kernel that has these"
        return Finding("warn", "sandbox", f"{detail}; not there: {without}", advice)
    return Finding("ok", "sandbox", detail)


def compare_python(runtime: dict[str, Any]) -> Finding:
    """Whether cells run on the Python that notebooks expect."""
    theirs, ours = str(runtime.get("python", "")), platform.python_version()
    if theirs.split(".")[:2] == ours.split(".")[:2]:
        return Finding("ok", "runtime", f"Python {theirs}")
    return Finding(
        "warn",
        "runtime",
        f"cells run on Python {theirs}, this environment has {ours}",
        "expect other packages there than here; a kernelspec of another name tells users so",
    )


def check_local_version(local: LocalSettings) -> Finding:
    """Whether the running broker is the installed one."""
    status = read_status(local)
    if not status.running:
        return Finding("warn", "local broker", "not running", f"see its log: {local.log_file}")
    theirs, ours = status.record.get("version"), installed_version()
    pid = status.record.get("pid")
    if theirs != ours:
        return Finding(
            "warn",
            "local broker",
            f"process {pid} is version {theirs}, installed is {ours}",
            f"kill {pid}: the next cell starts the new one, and every session goes on",
        )
    return Finding("ok", "local broker", f"process {pid}, version {theirs}, log {local.log_file}")


def examine_now(settings: Settings) -> list[Finding]:
    """All findings at once."""

    async def gather() -> list[Finding]:
        return [finding async for finding in examine(settings)]

    return asyncio.run(gather())
