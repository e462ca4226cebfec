"""What a capture hands over: the difference to the last committed state, and what cannot be carried."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Pin:
    """Something in the session that lives only in its process."""

    name: str
    type: str
    reason: str
    cell: int | None


@dataclass(frozen=True)
class Delta:
    """Entries to put and delete, chunks that are new (the sink has them) or not needed any more.

    `new_pins` are those of `pinned` that were not there before. `lost` could not be brought back when the
    state was loaded, and nobody was told yet. `notices` is what the user is told besides. `refused` says why
    nothing of this may be committed: the state is larger than it may be. `failed` says that nothing could be
    taken: `acknowledge` must not follow.
    """

    put: dict[str, bytes] = field(default_factory=dict)
    delete: list[str] = field(default_factory=list)
    add: list[str] = field(default_factory=list)
    drop: list[str] = field(default_factory=list)
    pinned: list[Pin] = field(default_factory=list)
    new_pins: list[Pin] = field(default_factory=list)
    lost: list[Pin] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    refused: str | None = None
    failed: bool = False
