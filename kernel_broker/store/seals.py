"""Authenticated encryption of what a session holds. No I/O.

Two layers. A session's document is sealed with a key derived from one of the operator's keys and the
session's id (`keyring`). In it is the secret of the session's family, and from that come the keys of
entries, chunks and run logs: a fork shares what is stored, so entries and chunks are bound to the family and
not to one session. An operator's key is replaced by sealing documents anew.

All is AES-256-GCM with random 96-bit nonces. A key is one family's, and for one kind of blob: the 2**32
messages that such nonces are good for are 4 PiB of chunks.
"""

from collections.abc import Mapping
from os import urandom
from typing import Final, Literal, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kernel_broker.store.contract import Buffer

Kind = Literal["entry", "chunk", "run"]
Name = TypeVar("Name", bound=str)

SECRET_BYTES: Final = 32
_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
OVERHEAD: Final = len(_VERSION) + _NONCE_BYTES + _TAG_BYTES
"""Bytes by which a blob grows when it is sealed."""


class Forged(Exception):
    """The bytes were not sealed with this key, or not for this place."""


def derive(secret: bytes, *purpose: str) -> AESGCM:
    """The key that a secret gives for one purpose."""
    info = "\0".join(("serverless-ipykernel", *purpose)).encode()
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret))


def seal(key: AESGCM, place: bytes, data: Buffer) -> bytes:
    """`data` encrypted for one place: it opens nowhere else."""
    nonce = urandom(_NONCE_BYTES)
    return b"".join((_VERSION, nonce, key.encrypt(nonce, data, place)))


def unseal(key: AESGCM, place: bytes, sealed: Buffer) -> bytes:
    """What was sealed for this place; raises `Forged`."""
    view = memoryview(sealed)
    start = len(_VERSION) + _NONCE_BYTES
    if len(view) < OVERHEAD or bytes(view[:1]) != _VERSION:
        raise Forged
    try:
        return key.decrypt(view[1:start], view[start:], place)
    except InvalidTag:
        raise Forged from None


class FamilySeal:
    """Seals the blobs of one family, each for its kind, its name, and what else `about` says of its place."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        """Kept in the documents of the family's sessions; it never leaves the broker."""
        self._keys: dict[Kind, AESGCM] = {}

    def _key(self, kind: Kind) -> AESGCM:
        if kind not in self._keys:
            self._keys[kind] = derive(self.secret, kind)
        return self._keys[kind]

    def seal(self, kind: Kind, blobs: Mapping[Name, Buffer], about: str = "") -> dict[Name, bytes]:
        """The blobs as they are to be stored."""
        key = self._key(kind)
        return {name: seal(key, _place(about, name), data) for name, data in blobs.items()}

    def unseal(
        self, kind: Kind, blobs: Mapping[Name, bytes], about: str = ""
    ) -> tuple[dict[Name, bytes], list[Name]]:
        """What can be read of stored blobs, and the names of those that cannot."""
        key = self._key(kind)
        intact: dict[Name, bytes] = {}
        damaged: list[Name] = []
        for name, sealed in blobs.items():
            try:
                intact[name] = unseal(key, _place(about, name), sealed)
            except Forged:
                damaged.append(name)
        return intact, damaged


def _place(about: str, name: str) -> bytes:
    """No two places of one kind look the same: ids have no NUL in them, and what else there is comes last."""
    return f"{about}\0{name}".encode()
