"""What a store refuses to hand out: bytes that were changed, or whose key is not here."""

from collections.abc import Mapping

from kernel_broker.errors import BrokerError
from kernel_broker.wire.ids import SessionId


class Unreadable(BrokerError):
    """Part of a session is not what was written, or cannot be decrypted; no other session is touched."""

    code = "state_unreadable"


class DocumentUnreadable(Unreadable):
    """The session as a whole: without its document nothing of it can be read. `owner` is whose it was."""

    def __init__(self, session_id: SessionId, why: str, owner: str = "") -> None:
        super().__init__(
            f"session {session_id!r} cannot be read: {why}. It stays in the store as it is; it can be deleted"
        )
        self.owner = owner


class EntriesUnreadable(Unreadable):
    """Some entries of the head; `intact` has the others."""

    def __init__(self, session_id: SessionId, damaged: list[str], intact: Mapping[str, bytes]) -> None:
        named = ", ".join(map(repr, sorted(damaged)[:3])) + (", ..." if len(damaged) > 3 else "")
        super().__init__(
            f"the state of session {session_id!r} cannot be brought back: {named} was changed in the store, "
            "or is of another session. It stays there as it is; restart the session to go on with a fresh "
            "namespace"
        )
        self.intact = intact
