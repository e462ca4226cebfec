"""The file of tokens: who is in it, and what happens when it changes."""

import os
from pathlib import Path

import pytest

from fixtures.people import write_tokens
from kernel_broker.api.identity.token_file import TokenFile
from kernel_broker.sessions.ownership import Caller
from kernel_broker.wire.identity import digest, is_valid_owner, new_token, read_token_lines


async def test_a_token_is_its_owner_s_and_a_hash_is_nobody_s(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    tokens = write_tokens(file, ("ann@example.org", "user"), ("root", "admin"))
    way = TokenFile(file)
    assert await way.identify(tokens["ann@example.org"]) == Caller("ann@example.org")
    assert await way.identify(tokens["root"]) == Caller("root", is_admin=True)
    assert await way.identify(digest(tokens["root"])) is None
    assert await way.identify("") is None
    assert all(token not in file.read_text() for token in tokens.values())


async def test_tokens_are_rotated_without_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    old = write_tokens(file, ("ann", "user"))["ann"]
    way = TokenFile(file)
    assert await way.identify(old) == Caller("ann")
    new = write_tokens(tmp_path / "next", ("ann", "admin"))["ann"]
    (tmp_path / "next").replace(file)
    assert await way.identify(old) is None
    assert await way.identify(new) == Caller("ann", is_admin=True)


async def test_a_file_that_is_damaged_or_gone_locks_nobody_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "tokens"
    token = write_tokens(file, ("ann", "user"))["ann"]
    way = TokenFile(file)
    file.write_text("half a li")
    for _ in range(3):
        assert await way.identify(token) == Caller("ann")
    file.unlink()
    for _ in range(3):
        assert await way.identify(token) == Caller("ann")
    assert [record.getMessage().count("what it last said holds") for record in caplog.records] == [1, 1]
    file.write_text("# nobody\n")
    assert await way.identify(token) is None


async def test_a_change_is_seen_though_size_and_name_are_the_same(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    write_tokens(file, ("ann", "user"))
    way = TokenFile(file)
    token = write_tokens(file, ("ann", "user"))["ann"]
    os.utime(file, ns=(1, 1))
    assert await way.identify(token) == Caller("ann")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ann user", "line 1"),
        ("\n# fine\nann user sha256:abc", "line 3"),
        (f"ann boss sha256:{'0' * 64}", "line 1"),
        (f"ann user md5:{'0' * 64}", "line 1"),
        (f"ann user sha256:{'0' * 64} more", "line 1"),
        (f"default user sha256:{'0' * 64}", "owner's name"),
        (f"* user sha256:{'0' * 64}", "owner's name"),
        (f"{'a' * 201} user sha256:{'0' * 64}", "owner's name"),
        (f"a\x00b user sha256:{'0' * 64}", "owner's name"),
    ],
)
def test_lines_that_cannot_be_meant(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        list(read_token_lines(text))


def test_a_token_cannot_be_two_people_s(tmp_path: Path) -> None:
    line = f"user sha256:{'0' * 64}"
    (tmp_path / "tokens").write_text(f"ann {line}\nbob {line}\n")
    with pytest.raises(ValueError, match="twice"):
        TokenFile(tmp_path / "tokens")


def test_names_and_tokens() -> None:
    assert not any(map(is_valid_owner, ["", "default", "*", "a\nb", "\ud800", "a" * 201]))
    assert all(map(is_valid_owner, ["ann", "ann@example.org", "auth0|1", "service/ci", "Ann Lee", "安"]))
    assert len({new_token() for _ in range(100)}) == 100
    assert all(len(new_token()) >= 40 for _ in range(10))
