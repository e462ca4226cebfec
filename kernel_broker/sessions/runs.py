"""A session's runs in memory: those that are under way, and for a while the logs of those that ended."""

from collections.abc import Iterator
from dataclasses import dataclass

from kernel_broker.sessions.run import Run
from kernel_broker.sessions.runlog import RunLog
from kernel_broker.wire.ids import RunId


@dataclass(frozen=True, slots=True)
class _Ended:
    log: RunLog
    at: float
    refused: bool


class Runs:
    """Runs by id. Logs of ended ones take `limit` bytes together at most; the newest is always kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._going: dict[RunId, Run] = {}
        self._ended: dict[RunId, _Ended] = {}
        self._held = 0

    def __bool__(self) -> bool:
        return bool(self._going or self._ended)

    def __iter__(self) -> Iterator[Run]:
        """Those under way."""
        return iter(list(self._going.values()))

    def find(self, run_id: RunId) -> RunLog | None:
        """The log of a run."""
        if run_id in self._going:
            return self._going[run_id].log
        ended = self._ended.get(run_id)
        return ended.log if ended is not None else None

    def may_start(self, run_id: RunId) -> bool:
        """Whether no run has the id, or one that was refused before it began and may be sent again."""
        ended = self._ended.get(run_id)
        return run_id not in self._going and (ended is None or ended.refused)

    def begin(self, run: Run) -> None:
        """A run is under way."""
        self._drop(run.run_id)
        self._going[run.run_id] = run

    def end(self, run: Run, now: float) -> None:
        """A run is over: of all it holds, only its log is kept."""
        del self._going[run.run_id]
        problem = run.outcome.problem if run.outcome is not None else None
        refused = not run.sent and problem is not None and problem.status in (429, 503)
        self._ended[run.run_id] = _Ended(run.log, now, refused)
        self._held += run.log.size
        while self._held > self._limit and len(self._ended) > 1:
            self._drop(next(iter(self._ended)))

    def forget(self, before: float) -> None:
        """Let go of the logs of runs that ended before a time."""
        for run_id in [run_id for run_id, ended in self._ended.items() if ended.at < before]:
            self._drop(run_id)

    def _drop(self, run_id: RunId) -> None:
        ended = self._ended.pop(run_id, None)
        if ended is not None:
            self._held -= ended.log.size
