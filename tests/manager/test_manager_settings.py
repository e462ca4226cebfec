import os
import sys
import tempfile
from pathlib import Path

import pytest

from kernel_manager import Endpoint
from kernel_manager.settings import SettingsError, read_settings


def test_without_a_url_the_broker_is_local() -> None:
    settings = read_settings({"HOME": "/home/ada"})
    assert settings.endpoint is None
    assert settings.patience == 30
    assert settings.local.python == sys.executable
    assert settings.local.state_dir.is_relative_to("/home/ada/.local/state/serverless-ipykernel")


def test_url_and_token() -> None:
    environ = {"SERVERLESS_KERNEL_URL": "https://broker/", "SERVERLESS_KERNEL_TOKEN": "t", "HOME": "/"}
    assert read_settings(environ).endpoint == Endpoint("https://broker", "t")
    assert read_settings(environ, url="http://other", token="u").endpoint == Endpoint("http://other", "u")


def test_url_of_a_socket() -> None:
    found = read_settings({"HOME": "/"}, url="unix:///run/b.sock").endpoint
    assert found == Endpoint("http://localhost", uds="/run/b.sock")
    assert read_settings({"HOME": "/"}, url="unix:/run/b.sock").endpoint == found


def test_token_file_comes_first(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    environ = {"SERVERLESS_KERNEL_TOKEN_FILE": str(tmp_path / "token"), "SERVERLESS_KERNEL_TOKEN": "t"}
    found = read_settings({"HOME": "/", **environ}, url="http://b").endpoint
    assert found is not None
    assert found.token == "from-file"


@pytest.mark.parametrize(
    "environ",
    [
        {"SERVERLESS_KERNEL_URL": "broker:8080"},
        {"SERVERLESS_KERNEL_URL": "http://b", "SERVERLESS_KERNEL_TOKEN_FILE": "/nowhere/token"},
        {"SERVERLESS_KERNEL_PATIENCE": "long"},
        {"SERVERLESS_KERNEL_PATIENCE": "-1"},
        {"SERVERLESS_KERNEL_PATIENCE": "nan"},
        {"SERVERLESS_KERNEL_PATIENCE": "inf"},
    ],
)
def test_what_cannot_be_meant_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        read_settings({"HOME": "/", **environ})


def test_runtime_dir_is_the_users_and_the_environments() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # a socket's path has a small limit
        here = read_settings({"HOME": "/home/ada", "XDG_RUNTIME_DIR": short}).local
        assert here.runtime_dir.parent == Path(short)
    other = read_settings({"HOME": "/home/ada"}, python="/venvs/other/bin/python").local
    assert here.state_dir != other.state_dir, "two environments share neither broker nor store"
    assert other.python == "/venvs/other/bin/python"


def test_other_spelling_of_this_python_is_this_environment() -> None:
    here = read_settings({"HOME": "/h"}).local
    again = read_settings({"HOME": "/h"}, python=str(Path(sys.prefix) / "bin" / "python3.99")).local
    assert here.state_dir == again.state_dir


def test_socket_path_fits(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    local = read_settings({"HOME": str(deep)}).local
    assert len(os.fsencode(local.socket)) < 108
    assert str(os.getuid()) in local.runtime_dir.name
    assert local.state_dir.is_relative_to(deep), "only the socket has to move"


def test_local_broker_gets_no_secrets_of_the_first_server() -> None:
    environ = {
        "HOME": "/h", "PATH": "/bin", "LC_ALL": "C", "KERNEL_BROKER_PRELOAD": "json", "PYTHONPATH": "/p",
        "SERVERLESS_KERNEL_TOKEN": "s", "JUPYTER_TOKEN": "s", "AWS_SECRET_ACCESS_KEY": "s",
    }  # fmt: skip
    local = read_settings(environ).local
    assert set(local.environment) == {"HOME", "PATH", "LC_ALL", "KERNEL_BROKER_PRELOAD", "PYTHONPATH"}
    assert "json" not in repr(local)
