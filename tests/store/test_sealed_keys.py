"""The operator's keys: how they are given, and how one takes another's place."""

import base64

import pytest
from backends import sqlite_backend
from samples import SID, A, held, record, step

from kernel_broker.store.contract import History
from kernel_broker.store.keyring import Keyring, key_of, read_keys
from kernel_broker.store.open import sealed
from kernel_broker.store.rekey import rekey
from kernel_broker.store.sealed import SealedStore
from kernel_broker.store.sqlite import SqliteStore
from kernel_broker.store.unreadable import DocumentUnreadable
from kernel_broker.wire.ids import Revision, SessionId

OLD, NEW = bytes(32), bytes(range(32))
BUSY, PLAIN, STRANGE = SessionId("busy"), SessionId("plain"), SessionId("strange")


def given(**keys: bytes) -> str:
    return ",".join(f"{name}:{base64.b64encode(key).decode()}" for name, key in keys.items())


def test_keys_are_read_in_their_order_from_any_list() -> None:
    keyring = read_keys(f" {given(new=NEW)},\n\t{given(old=OLD)}\nunencrypted ")
    assert keyring is not None and keyring.first == "new"
    assert read_keys(" ,\n") is None
    store = SqliteStore(None)
    assert sealed(store, "") is store and sealed(store, " , ") is store
    assert isinstance(sealed(store, given(new=NEW)), SealedStore)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("c2VjcmV0", "key 1 has no name"),
        (f"{given(a=NEW)},b c:c2VjcmV0", "key 2 has no name"),
        (f"{'n' * 65}:c2VjcmV0", "key 1 has no name"),
        ("a:c2VjcmV0", "key 'a' is not the base64 of 32 bytes"),
        ("a:c2Vj!cmV0", "key 'a' is not the base64 of 32 bytes"),
        (f"{given(a=NEW)},{given(a=OLD)}", "two keys of the name 'a'"),
        ("unencrypted", "alone makes no sense"),
    ],
)
def test_a_key_that_cannot_be_used_is_named_and_not_shown(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as refusal:
        read_keys(text)
    assert "c2V" not in str(refusal.value)


async def test_an_old_key_goes_when_every_session_is_brought_under_the_new_one() -> None:
    async with sqlite_backend(None, History(revisions=5)) as backend:
        inner, old = backend.store, SealedStore(backend.store, Keyring({"old": OLD}))
        backend.store = old  # type: ignore[misc]
        lease = await held(backend)
        await old.put_chunks(SID, {A: b"chunk"})
        await old.commit(step(lease, put={"x": b"1"}, add=[A]))
        await old.release(lease)
        await held(backend, BUSY)
        await inner.create(record(PLAIN))
        await SealedStore(inner, Keyring({"strange": OLD})).create(record(STRANGE))

        both = SealedStore(inner, Keyring({"new": NEW, "old": OLD}))
        assert await both.entries(SID) == {"x": b"1"}
        result = await rekey(both)
        assert (result.done, result.busy, result.unencrypted) == (1, [BUSY], [PLAIN])
        assert "key 'strange', which this broker does not have" in result.unreadable[0]
        assert len(list(result.lines())) == 4
        assert (await rekey(both)).done == 0

        new = SealedStore(inner, Keyring({"new": NEW}))
        found = await new.get(SID)
        assert (found.revision, found.doc, found.last_activity) == (2, b"doc", 2000.5)
        assert await new.entries(SID) == {"x": b"1"} and await new.get_chunks(SID, [A]) == {A: b"chunk"}
        assert [kept.revision for kept in await new.revisions(SID)] == [2]
        with pytest.raises(DocumentUnreadable, match="key 'old'"):
            await new.get(BUSY)


async def test_a_commit_brings_its_session_under_the_first_key() -> None:
    async with sqlite_backend(None) as backend:
        inner, keyring = backend.store, Keyring({"new": NEW, "old": OLD})
        await SealedStore(inner, Keyring({"old": OLD})).create(record())
        assert key_of((await inner.get(SID)).doc) == "old"
        both = SealedStore(inner, keyring)
        lease = await both.acquire(SID, "pod-a", 30)
        await both.commit(step(lease))
        assert key_of((await inner.get(SID)).doc) == "new"
        assert await both.reset(lease, b"fresh", 1.0) == 2
        assert (await SealedStore(inner, Keyring({"new": NEW})).get(SID)).revision == Revision(2)
