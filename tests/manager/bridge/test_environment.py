"""What a session inherits: everything from a local server, an allow-list to a remote broker."""

from pathlib import Path

import pytest

from fixtures.broker import Broker
from fixtures.kernel import ARGV, PROVISIONED, LocalBroker, running_kernel
from kernel_manager.bridge.environment import session_environment

SHOW = "import os; print(os.getcwd(), *[os.environ.get(n) for n in ('MY_SECRET', 'KERNEL_MINE', 'TZ')])"
GIVEN = {"MY_SECRET": "s3cret", "KERNEL_MINE": "mine", "TZ": "UTC", "SERVERLESS_KERNEL_TOKEN": "t"}


@pytest.mark.parametrize("name", [PROVISIONED, ARGV])
def test_a_local_session_inherits_all_and_starts_where_the_notebook_is(
    local: LocalBroker, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in GIVEN.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/me/paper.ipynb")
    with running_kernel(name, {"cwd": str(tmp_path)}) as kernel:
        assert kernel.run(SHOW).stream() == f"{tmp_path} s3cret mine UTC\n"
        assert kernel.run("'SERVERLESS_KERNEL_TOKEN' in os.environ").result == "False"
        assert kernel.run("__session__").result == "'/home/me/paper.ipynb'"


@pytest.mark.parametrize("name", [PROVISIONED, ARGV])
def test_a_remote_session_gets_no_secret_and_no_folder(
    remote: Broker, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in GIVEN.items():
        monkeypatch.setenv(variable, value)
    with running_kernel(name, {"cwd": str(tmp_path)}) as kernel:
        folder, *values = kernel.run(SHOW).stream().split()
        assert values == ["None", "mine", "UTC"]
        assert folder != str(tmp_path)


def test_what_the_kernelspec_sets_goes_to_a_remote_broker_too() -> None:
    class Spec:
        env = {"DATA_URL": "there"}  # noqa: RUF012

    given = {"DATA_URL": "there", "AWS_SECRET": "x", "JPY_SESSION_NAME": "a.ipynb", "LC_ALL": "C"}
    passed = session_environment(given, Spec(), local=False)
    assert passed == {"DATA_URL": "there", "JPY_SESSION_NAME": "a.ipynb", "LC_ALL": "C"}


def test_startup_files_run_in_every_worker_before_the_state_is_back(
    remote: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    startup = tmp_path / "startup.py"
    startup.write_text("import pathlib\nchanged = kept = 'by the startup file'\n"
                       f"pathlib.Path({str(tmp_path / 'runs')!r}).open('a').write('x')")  # fmt: skip
    session_id = remote.create(env={"PYTHONSTARTUP": str(startup)})
    assert remote.text(session_id, "changed") == "'by the startup file'"
    remote.text(session_id, "changed = 'by a cell'; print()")
    remote.call(session_id, "evict")
    assert remote.text(session_id, "changed, kept") == "('by a cell', 'by the startup file')"
    assert (tmp_path / "runs").read_text() == "xx"
