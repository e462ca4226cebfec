"""Which level holds, what is said of it, and what is refused at the start."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.broker import Broker
from kernel_broker.options import SettingsError
from kernel_broker.settings import read_settings
from kernel_manager.diagnosis import describe_sandbox

_OLD_KERNEL = """
import os, sys
from kernel_broker.worker.sandbox import calls, seccomp
calls.control(calls.PR_SET_NO_NEW_PRIVS, 1)
load, nr = [(0x20, 0, 0, 0)], 444
code = [*load, *seccomp._deny([nr], 38), *seccomp._return()]
seccomp.install(seccomp._pack(code))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
"""Runs a program as on a kernel that has no Landlock: its first call fails as an unknown one does."""

STRICT = ("strict", "none")


class OldBroker(Broker):
    launcher = (sys.executable, "-c", _OLD_KERNEL)


def levels(**settings: str) -> tuple[str, str]:
    found = read_settings({f"KERNEL_BROKER_{name.upper()}": value for name, value in settings.items()})
    return found.sandbox, found.network


def test_pods_are_strict_by_default_and_laptops_are_not() -> None:
    assert levels() == ("off", "open")
    assert levels(files="state") == STRICT
    assert levels(sandbox="strict") == STRICT
    assert levels(sandbox="standard") == ("standard", "open")
    assert levels(files="state", sandbox="off") == ("off", "open")
    assert levels(files="state", network=" 443, 53,443 ") == ("strict", "53,443")
    assert levels(files="state", network="open", token="t") == ("strict", "open")
    assert levels(files="state", network="open", token="t", store_url="redis://:secret@here") == (
        "strict",
        "open",
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sandbox": "tight"}, "SANDBOX must be strict, standard or off"),
        ({"network": "none"}, "NETWORK is kept by a sandbox"),
        ({"sandbox": "strict", "network": "example.org"}, "list of TCP ports such as 53,443: hosts"),
        ({"sandbox": "strict", "network": "0"}, "list of TCP ports"),
        ({"sandbox": "strict", "network": "443,8080"}, "port 8080 is the broker's own"),
        ({"sandbox": "strict", "network": "6379", "store_url": "redis://here"}, "port 6379 is the store's"),
        (
            {"sandbox": "strict", "network": "7", "store_url": "redis+sentinel://a:7,b:8/m"},
            "port 7 is the store's",
        ),
        ({"sandbox": "strict", "network": "open"}, "set KERNEL_BROKER_TOKEN"),
        (
            {"sandbox": "strict", "network": "open", "token": "t", "store_url": "redis://here"},
            "a password in",
        ),
        ({"sandbox": "strict", "network": "443", "store_url": "redis://here"}, "a password in"),
        ({"sandbox": "strict", "store_url": "unix:///run/redis.sock"}, "a password in"),
        ({"sandbox": "strict", "uds": "/tmp/kernels.sock"}, "set KERNEL_BROKER_TOKEN"),
        (
            {"sandbox": "strict", "network": "26379", "store_url": "redis+sentinel://:pw@a/m"},
            "port 26379 is the store's",
        ),
    ],
)
def test_rules_that_cannot_be_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        levels(**settings)


def refusal_of(broker: Broker) -> str:
    """The last that a broker says when it does not start."""
    done = subprocess.run(
        [*broker.launcher, broker.python, "-m", "kernel_broker"],
        env=broker.environment, cwd=broker.home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    broker.destroy()
    assert done.returncode == 1
    return done.stderr.strip().splitlines()[-1]


def test_what_is_demanded_and_not_there_is_refused_with_the_reason() -> None:
    said = refusal_of(OldBroker(sandbox="strict", preload=""))
    assert said.startswith("kernel_broker: KERNEL_BROKER_SANDBOX=strict cannot be kept here: the layer")
    assert "'signals' needs Landlock of Linux 6.12 (version 6); there is none" in said
    assert said.endswith("set KERNEL_BROKER_SANDBOX=standard and run one broker per tenant")


def test_a_path_that_leads_to_all_sessions_is_not_opened(tmp_path: Path) -> None:
    said = refusal_of(Broker(files="state", files_dir=tmp_path / "a" / "b", sandbox_read=tmp_path))
    assert said.startswith(
        f"kernel_broker: KERNEL_BROKER_SANDBOX_READ: {tmp_path} has the broker's own files"
    )


def test_standard_goes_on_with_what_there_is_and_says_what_is_missing() -> None:
    broker = OldBroker(sandbox="standard", preload="", spares=1)
    try:
        broker.start()
        said = broker.http.get("/readyz").json()["sandbox"]
        assert (said["level"], said["network"]) == ("standard", "open")
        assert "system calls" in said["layers"]
        assert set(said["missing"]) == {"memory", "signals"}
        session = broker.create()
        assert (
            broker.execute(session, "import os; os.chroot('.')").json()["error"]["ename"] == "PermissionError"
        )
        finding = describe_sandbox(said)
        assert finding.level == "warn"
        assert "memory (Landlock of Linux 5.13" in finding.detail
    finally:
        broker.destroy()


def test_the_layers_are_told(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(files="state")
    said = broker.http.get("/readyz").json()["sandbox"]
    assert (said["level"], said["network"], said["missing"]) == ("strict", "none", {})
    assert {"memory", "files", "tcp", "signals", "system calls", "privileges", "limits"} <= set(
        said["layers"]
    )
    finding = describe_sandbox(json.loads(json.dumps(said)))
    assert finding.level == "ok"
    assert finding.detail.startswith("strict, network none: privileges, limits")
    assert describe_sandbox({"level": "off"}).detail.startswith("off:")
