"""What a broker may be started with: it knows who can reach it, unless that is said not to be wanted."""

from pathlib import Path

import pytest

from kernel_broker.api.identity.door import PUBLIC
from kernel_broker.app import make_app
from kernel_broker.options import Settings, SettingsError, describe_settings
from kernel_broker.settings import read_settings

P = "KERNEL_BROKER_"
JWT = {"JWT_ISSUER": "https://issuer", "JWT_AUDIENCE": "kernels", "JWT_KEYS": "https://issuer/keys"}


def read(**given: str) -> Settings:
    return read_settings({P + name: value for name, value in given.items()})


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.1", "kernels.example.org", "127.0.0.1.example.org"]
)
def test_where_others_can_connect_they_must_be_told_apart(host: str) -> None:
    with pytest.raises(SettingsError, match="AUTH=none") as refusal:
        read(HOST=host)
    for name in ("TOKEN", "TOKENS_FILE", "JWT_ISSUER", "HUB_URL"):
        assert P + name in str(refusal.value)
    for enough in ({"AUTH": "none"}, {"TOKEN": "t"}, {"TOKENS_FILE": "/f"}, {"HUB_URL": "http://hub"}, JWT):
        assert read(HOST=host, **enough).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_on_this_machine_nothing_need_be_set(host: str) -> None:
    assert not read(HOST=host).knows_callers
    assert not read(HOST="0.0.0.0", UDS="/tmp/socket").knows_callers


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"AUTH": "basic"}, "AUTH must be none"),
        ({"AUTH": "none", "TOKEN": "t"}, "AUTH=none contradicts"),
        ({"JWT_ISSUER": "https://issuer"}, "set together"),
        ({"JWT_KEYS": "/keys"}, "set together"),
        ({"TLS_CERT": "/cert"}, "set together"),
        ({"TLS_CLIENT_CA": "/ca"}, "TLS_CLIENT_CA needs"),
        ({"DOCS": "maybe"}, "DOCS must be on or off"),
        ({"HEADER_TIME": "0"}, "HEADER_TIME must be more than 0"),
        ({"OWNER_CELLS": "-1"}, "must not be negative"),
    ],
)
def test_settings_that_contradict_each_other(given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read(**given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"TOKENS_FILE": "/nowhere"}, "TOKENS_FILE: there is no file"),
        ({"TOKENS_FILE": "{here}"}, "TOKENS_FILE: line 1 is not"),
        ({**JWT, "JWT_KEYS": "/nowhere"}, "JWT_KEYS: there is no file"),
        ({**JWT, "JWT_KEYS": "{here}"}, "JWT_KEYS: "),
        ({**JWT, "JWT_KEYS": "http://issuer.example.org/keys"}, "must be a file or an https URL"),
        ({"HUB_URL": "hub:8081"}, "HUB_URL must begin with http"),
    ],
)
def test_ways_that_cannot_be_used_are_told_at_the_start(
    given: dict[str, str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "here").write_text("what is this")
    filled = {name: value.format(here=tmp_path / "here") for name, value in given.items()}
    with pytest.raises(SettingsError, match=said):
        make_app(read(**filled, STORE_URL=f"sqlite:///{tmp_path}/store.db"))


def test_the_documents_can_be_left_out(tmp_path: Path) -> None:
    shown = {}
    for docs in ("on", "off"):
        app = make_app(read(DOCS=docs, STORE_URL=f"sqlite:///{tmp_path}/store.db"))
        shown[docs] = {getattr(route, "path", None) for route in app.routes} & PUBLIC
    assert shown["on"] - shown["off"] == {"/docs", "/openapi.json"}


@pytest.mark.parametrize("name", ["TOKEN", "STORE_URL"])
def test_a_secret_may_be_in_a_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("redis://:pass-word@host\n")
    settings = read(**{f"{name}_FILE": str(file)})
    assert getattr(settings, name.lower()) == "redis://:pass-word@host"
    assert "pass-word" not in repr(settings)
    assert f"{P}{name}" in describe_settings()
    for given, said in [
        ({f"{name}_FILE": str(file), name: "x"}, "not both"),
        ({f"{name}_FILE": str(tmp_path)}, "cannot be read: Is a directory"),
        ({f"{name}_FILE": str(tmp_path / "none")}, "cannot be read: No such file"),
        ({"HOST_FILE": str(file)}, "unknown setting"),
    ]:
        with pytest.raises(SettingsError, match=said):
            read(**given)
    file.write_text(" \n")
    with pytest.raises(SettingsError, match="is empty"):
        read(**{f"{name}_FILE": str(file)})
