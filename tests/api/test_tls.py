"""A broker that serves HTTPS, and the SDK that checks whom it talks to."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from fixtures.broker import Broker
from kernel_manager import BrokerUnreachable, Session
from kernel_manager.settings import SettingsError, read_settings


@dataclass
class Files:
    """What an authority has signed, as files."""

    ca: str
    cert: str
    key: str
    client: str


def sign(home: Path) -> Files:
    home.mkdir()
    authority = trustme.CA()
    server, client = authority.issue_cert("127.0.0.1", "localhost"), authority.issue_cert("ann@example.org")
    authority.cert_pem.write_to_path(str(home / "ca.pem"))
    server.private_key_pem.write_to_path(str(home / "key.pem"))
    for number, pem in enumerate(server.cert_chain_pems):
        pem.write_to_path(str(home / "cert.pem"), append=number > 0)
    client.private_key_and_cert_chain_pem.write_to_path(str(home / "client.pem"))
    return Files(*(str(home / f"{name}.pem") for name in ("ca", "cert", "key", "client")))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return sign(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return sign(tmp_path_factory.mktemp("tls") / "theirs")


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def set_all(**values: str) -> None:
        for name in ("URL", "TOKEN", "CA_FILE", "CLIENT_CERT", "PATIENCE"):
            monkeypatch.delenv(f"SERVERLESS_KERNEL_{name}", raising=False)
        for name, value in values.items():
            monkeypatch.setenv(f"SERVERLESS_KERNEL_{name}", value)

    return set_all


@pytest.fixture
def secure(ours: Files) -> Iterator[Broker]:
    broker = Broker(
        preload="", spares=1, tls_cert=ours.cert, tls_key=ours.key, tls_client_ca=ours.ca, token="t-o-k-e-n-1"
    )
    broker.url = broker.url.replace("http:", "https:")
    try:
        yield broker.start(wait=False)
    finally:
        broker.destroy()


def run_a_cell() -> str:
    with Session() as session:
        return session.execute("6 * 7").text.strip()


def test_both_ends_are_checked(
    secure: Broker, ours: Files, theirs: Files, environ: Callable[..., None]
) -> None:
    good = {"URL": secure.url, "TOKEN": "t-o-k-e-n-1", "CA_FILE": ours.ca, "CLIENT_CERT": ours.client}
    environ(**good, PATIENCE="30")
    assert run_a_cell() == "42"
    for wrong in (
        {"CA_FILE": theirs.ca},
        {"CA_FILE": ""},
        {"CLIENT_CERT": ""},
        {"CLIENT_CERT": theirs.client},
    ):
        environ(**good | wrong, PATIENCE="0")
        with pytest.raises(BrokerUnreachable):
            run_a_cell()
    environ(**good | {"URL": secure.url.replace("https:", "http:")}, PATIENCE="0")
    with pytest.raises(BrokerUnreachable):
        run_a_cell()


def test_files_that_are_no_certificates(ours: Files, tmp_path: Path) -> None:
    (tmp_path / "nonsense").write_text("nonsense")
    for name in ("CA_FILE", "CLIENT_CERT"):
        for path in (tmp_path / "nonsense", tmp_path / "nowhere"):
            given = {"SERVERLESS_KERNEL_URL": "https://b", f"SERVERLESS_KERNEL_{name}": str(path)}
            with pytest.raises(SettingsError, match="CA_FILE or SERVERLESS_KERNEL_CLIENT_CERT"):
                read_settings({"HOME": "/", **given})


def test_a_broker_says_which_certificate_it_cannot_use(
    make_broker: Callable[..., Broker], ours: Files, theirs: Files
) -> None:
    broker = make_broker(start=False, tls_cert=ours.cert, tls_key=theirs.key)
    command = [sys.executable, "-m", "kernel_broker"]
    done = subprocess.run(command, env=broker.environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "KERNEL_BROKER_TLS_CERT, TLS_KEY or TLS_CLIENT_CA cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
