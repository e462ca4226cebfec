"""What every session at this pod shares: the store, the pool, the clock, the bounds."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from kernel_broker.pool.pool import Pool
from kernel_broker.sessions.file_rules import FileRules
from kernel_broker.store.contract import Store


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Bounds that hold for every session. Times are in seconds, sizes in bytes."""

    lease_ttl: float = 10.0
    """A lease that is not renewed for this long may be taken by another pod."""
    patience: float = 30.0
    """How long a cell waits for a worker, a lease or the store before it fails."""
    line: int = 1000
    """Requests that may wait for one session."""
    run_log: int = 16 * 2**20
    """What is kept in memory of a run's output for readers that come later or read slowly."""
    output: int = 64 * 2**20
    """Output of one cell; more is dropped, and said so."""
    interrupt_grace: float = 5.0
    """After a timeout's interrupt, how long a cell may take to stop before its worker is killed."""
    grace: float = 30.0
    """How long running cells may go on when the pod is told to stop."""
    files: FileRules = field(default_factory=FileRules)
    """How much of a session's working directory travels with it."""
    verify_idle: float = 0.5
    """After a run, how long nothing is asked for until its worker looks at the whole state again."""
    verify_grace: float = 20.0
    """How long a worker that is to be dropped may look at its state once more."""
    state: int = 0
    """Bytes of state that a session may have, if it was created without a limit of its own; 0: any."""
    recompute: bool = False
    """Whether sessions that say nothing of it make lost variables again by running their cells again."""
    run_memory: float = 60.0
    """How long a finished run can be re-attached from memory; after that, its stored tail is all."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """When things are done in the background; all in seconds."""

    worker_idle: float = 900.0
    """A warm worker that nobody used for this long is dropped; its state is in the store."""
    pinned_idle: float = 4 * 3600.0
    """The same for one that holds what cannot be carried to another worker."""
    session_ttl: float = 7 * 86400.0
    """A session that nobody used for this long is forgotten, unless it was created with its own."""
    collect_every: float = 600.0
    collect_grace: float = 3600.0
    """Chunks that no revision refers to are removed after this long."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Handed to every session at birth."""

    store: Store
    pool: Pool
    holder: str
    """This pod's name in leases."""
    limits: SessionLimits
    clock: Callable[[], float]
    """Unix seconds."""
    spawn: Callable[[Coroutine[Any, Any, None]], object]
    """Runs a task that belongs to the pod."""
