"""The operator's keys, and the documents of sessions sealed with them. No I/O.

A sealed document is `SIKD`, the length of the key's name (1 byte), the name, a fingerprint of the key, then
the sealed owner, family secret and document. It opens only as that of its session, at its revision.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, Hash

from kernel_broker.store.seals import SECRET_BYTES, Forged, derive, seal, unseal
from kernel_broker.store.unreadable import DocumentUnreadable
from kernel_broker.wire.ids import SessionId

UNENCRYPTED: Final = "unencrypted"
"""Among the keys: sessions that were stored without encryption are read, too."""

_MAGIC: Final = b"SIKD"
_FINGERPRINT_BYTES: Final = 4
_OWNER_LENGTH_BYTES: Final = 4
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ASIDE: Final = "give NAME:BASE64, the key being 32 random bytes (`openssl rand -base64 32`)"


@dataclass(frozen=True, slots=True)
class Content:
    """What is sealed in a document."""

    owner: str
    secret: bytes
    """The family's; see `seals`."""
    doc: bytes


class Keyring:
    """Named keys: the first one seals, every one opens."""

    def __init__(self, keys: Mapping[str, bytes], accepts_unencrypted: bool = False) -> None:
        self._keys = dict(keys)
        self._first = next(iter(keys))
        self._accepts_unencrypted = accepts_unencrypted
        self._derive = lru_cache(1024)(self._derive_anew)

    @property
    def first(self) -> str:
        """The name of the key that seals."""
        return self._first

    def seal(self, session_id: SessionId, revision: int, content: Content) -> bytes:
        """A document as it is to be stored."""
        owner = content.owner.encode()
        head = _header(self._first, self._keys[self._first])
        whole = b"".join(
            (len(owner).to_bytes(_OWNER_LENGTH_BYTES, "big"), owner, content.secret, content.doc)
        )
        return head + seal(self._derive(self._first, session_id), _place(head, revision), whole)

    def unseal(self, session_id: SessionId, revision: int, sealed: bytes, owner: str = "") -> Content | None:
        """What is in a stored document, None if it was never sealed and that is accepted.

        Raises `DocumentUnreadable`; `owner` is whom the store names, for that.
        """
        name = key_of(sealed)
        if name is None:
            if self._accepts_unencrypted and not sealed.startswith(_MAGIC):
                return None
            raise DocumentUnreadable(session_id, _NOT_SEALED, owner)
        if name not in self._keys:
            raise DocumentUnreadable(session_id, _unknown(name), owner)
        head = _header(name, self._keys[name])
        if not sealed.startswith(head):
            raise DocumentUnreadable(session_id, _other(name), owner)
        try:
            key = self._derive(name, session_id)
            return _read(unseal(key, _place(head, revision), memoryview(sealed)[len(head) :]))
        except Forged:
            raise DocumentUnreadable(session_id, _CHANGED, owner) from None

    def _derive_anew(self, name: str, session_id: SessionId) -> AESGCM:
        return derive(self._keys[name], "document", session_id)


_CHANGED = "its document was changed in the store, or is that of another session or revision"
_NOT_SEALED = (
    "it is stored without encryption, and this broker has keys. If it is from before there were any, add "
    f"'{UNENCRYPTED}' to KERNEL_BROKER_ENCRYPTION_KEYS for as long as such sessions are needed"
)


def _unknown(name: str) -> str:
    return (
        f"it is encrypted with key {name!r}, which this broker does not have: add it to "
        "KERNEL_BROKER_ENCRYPTION_KEYS, after the first one"
    )


def _other(name: str) -> str:
    return f"it is encrypted with another key of the name {name!r} than this broker has"


def key_of(sealed: bytes) -> str | None:
    """The name of the key that a document says it is sealed with; None if it is not sealed."""
    start = len(_MAGIC) + 1
    if not sealed.startswith(_MAGIC) or len(sealed) < start:
        return None
    name = sealed[start : start + sealed[start - 1]].decode("ascii", "replace")
    return name if _NAME.fullmatch(name) else None


def _header(name: str, key: bytes) -> bytes:
    digest = Hash(SHA256())
    digest.update(b"serverless-ipykernel fingerprint" + key)
    return b"".join((_MAGIC, bytes([len(name)]), name.encode(), digest.finalize()[:_FINGERPRINT_BYTES]))


def _place(head: bytes, revision: int) -> bytes:
    return b"%d\0%b" % (revision, head)


def _read(whole: bytes) -> Content:
    """`whole` is genuine, so it is well-formed."""
    start = _OWNER_LENGTH_BYTES + int.from_bytes(whole[:_OWNER_LENGTH_BYTES], "big")
    end = start + SECRET_BYTES
    return Content(whole[_OWNER_LENGTH_BYTES:start].decode(), whole[start:end], whole[end:])


def read_keys(text: str) -> Keyring | None:
    """The keys of a setting, separated by commas or white space; None if it names none.

    Raises ValueError, which repeats no key.
    """
    items = re.split(r"[,\s]+", text.strip(", \t\r\n"))
    keys: dict[str, bytes] = {}
    for number, item in enumerate(items, 1):
        name, colon, encoded = item.partition(":")
        if item in ("", UNENCRYPTED):
            continue
        if not colon or not _NAME.fullmatch(name):
            raise ValueError(f"key {number} has no name of the characters A-Za-z0-9._-: {_ASIDE}")
        if name in keys:
            raise ValueError(f"there are two keys of the name {name!r}")
        keys[name] = _decode(name, encoded)
    if not keys:
        if UNENCRYPTED in items:
            raise ValueError(f"'{UNENCRYPTED}' alone makes no sense: {_ASIDE}")
        return None
    return Keyring(keys, UNENCRYPTED in items)


def _decode(name: str, encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != SECRET_BYTES:
        raise ValueError(f"key {name!r} is not the base64 of 32 bytes: {_ASIDE}")
    return key
