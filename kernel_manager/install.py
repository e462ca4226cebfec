"""Installs a kernelspec, as `ipykernel install` does: for another name, environment or broker."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from jupyter_client.kernelspec import KernelSpecManager

from kernel_manager.settings import KERNEL_NAME

PROVISIONER: Final = "serverless-kernel-provisioner"
_RESOURCES: Final = Path(__file__).parent / "kernelspec"


@dataclass(frozen=True, slots=True)
class SpecRequest:
    """What the kernelspec is to say."""

    name: str = KERNEL_NAME
    display_name: str | None = None
    url: str | None = None
    """The broker to use; None leaves it to the environment, and that to the local broker."""
    env: Mapping[str, str] = field(default_factory=dict)


def to_spec(request: SpecRequest) -> dict[str, Any]:
    """The content of kernel.json. Cells of a local broker run on the Python that installs it."""
    spec: dict[str, Any] = json.loads((_RESOURCES / "kernel.json").read_text(encoding="utf-8"))
    spec["argv"][0] = sys.executable
    if request.display_name:
        spec["display_name"] = request.display_name
    elif request.name != KERNEL_NAME:
        spec["display_name"] = request.name
    env = dict(request.env)
    if request.url:
        env["SERVERLESS_KERNEL_URL"] = request.url
        spec["metadata"]["kernel_provisioner"]["config"] = {"url": request.url}
    if env:
        spec["env"] = env
    return spec


def install(request: SpecRequest, *, user: bool = False, prefix: str | None = None) -> Path:
    """Write the kernelspec and its logos where Jupyter finds them; returns the folder.

    Neither `user` nor `prefix` means system-wide. Raises OSError where one may not write, ValueError for
    a name that cannot be.
    """
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "spec"
        shutil.copytree(_RESOURCES, source)
        text = json.dumps(to_spec(request), indent=1)
        (source / "kernel.json").write_text(text + "\n", encoding="utf-8")
        manager = KernelSpecManager()
        return Path(
            manager.install_kernel_spec(os.fspath(source), kernel_name=request.name, user=user, prefix=prefix)
        )
