import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from jupyter_client.kernelspec import KernelSpecManager

import kernel_manager.install as module
from kernel_manager.install import PROVISIONER, SpecRequest, install, to_spec
from kernel_manager.settings import KERNEL_NAME

SHIPPED = Path(module.__file__).parent / "kernelspec"


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    return tmp_path


def png_size(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def test_what_the_wheel_brings() -> None:
    spec = json.loads((SHIPPED / "kernel.json").read_text())
    assert spec["display_name"] == "Serverless Python"
    assert spec["argv"] == ["python", "-m", "kernel_manager.bridge", "-f", "{connection_file}"]
    assert spec["interrupt_mode"] == "message"
    assert spec["metadata"]["debugger"] is True
    assert spec["metadata"]["kernel_provisioner"] == {"provisioner_name": PROVISIONER, "config": {}}
    assert png_size(SHIPPED / "logo-64x64.png") == (64, 64)
    assert png_size(SHIPPED / "logo-32x32.png") == (32, 32)
    assert ElementTree.parse(SHIPPED / "logo-svg.svg").getroot().tag.endswith("svg")


def test_jupyter_sees_what_was_installed(prefix: Path) -> None:
    folder = install(SpecRequest(), prefix=str(prefix))
    assert folder == prefix / "share" / "jupyter" / "kernels" / KERNEL_NAME
    spec = KernelSpecManager().get_kernel_spec(KERNEL_NAME)
    assert Path(spec.resource_dir) == folder
    assert spec.argv[0] == sys.executable, "cells run on the Python that installed it"
    assert spec.interrupt_mode == "message"
    assert sorted(file.name for file in folder.iterdir()) == sorted(file.name for file in SHIPPED.iterdir())


def test_another_name_and_broker(prefix: Path) -> None:
    request = SpecRequest("team", "Team Python", "https://kernels.example", {"A": "b=c"})
    install(request, prefix=str(prefix))
    spec = KernelSpecManager().get_kernel_spec("team")
    assert spec.display_name == "Team Python"
    assert spec.env == {"A": "b=c", "SERVERLESS_KERNEL_URL": "https://kernels.example"}
    assert spec.metadata["kernel_provisioner"]["config"] == {"url": "https://kernels.example"}


def test_installing_again_replaces(prefix: Path) -> None:
    install(SpecRequest(url="http://old"), prefix=str(prefix))
    install(SpecRequest(), prefix=str(prefix))
    assert KernelSpecManager().get_kernel_spec(KERNEL_NAME).env == {}


def test_a_name_of_its_own_is_shown_unless_another_is_given() -> None:
    assert to_spec(SpecRequest("mine"))["display_name"] == "mine"
    assert to_spec(SpecRequest())["display_name"] == "Serverless Python"


def test_impossible_name_is_refused(prefix: Path) -> None:
    with pytest.raises(ValueError, match="Invalid kernel name"):
        install(SpecRequest("a name"), prefix=str(prefix))
