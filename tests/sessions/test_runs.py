"""Runs in memory: bounded, found again by id, and free to be sent again if they were refused."""

from kernel_broker.errors import BrokerError, Conflict, Unavailable
from kernel_broker.sessions.run import Outcome, Request, Run
from kernel_broker.sessions.runs import Runs
from kernel_broker.wire.ids import Revision, RunId, SessionId


def make_run(name: str, output: int = 0) -> Run:
    run = Run(SessionId("s"), RunId(name), Request("shell", "execute_request", {"msg_id": name}, {}))
    run.warn("x" * output)
    return run


def end(runs: Runs, run: Run, at: float = 0.0, error: BrokerError | None = None) -> None:
    problem = error.problem if error is not None else None
    run.finish(Outcome("failed" if problem else "ok", Revision(0), 0, problem=problem))
    runs.end(run, at)


async def test_logs_of_ended_runs_are_bounded_together_and_the_newest_is_kept() -> None:
    runs = Runs(limit=3000)
    going = make_run("going", 5000)
    runs.begin(going)
    for number in range(20):
        run = make_run(str(number), 500)
        runs.begin(run)
        end(runs, run)
    assert runs.find(RunId("0")) is None
    assert runs.find(RunId("19")) is not None
    end(runs, going)
    assert runs.find(RunId("going")) is going.log
    assert runs.find(RunId("19")) is None


async def test_old_ones_are_forgotten() -> None:
    runs = Runs(limit=10**6)
    for number in range(3):
        run = make_run(str(number))
        runs.begin(run)
        end(runs, run, at=float(number))
    runs.forget(before=2.0)
    assert [runs.find(RunId(str(n))) is not None for n in range(3)] == [False, False, True]
    runs.forget(before=3.0)
    assert not runs


async def test_only_what_was_refused_before_it_began_may_start_again() -> None:
    runs = Runs(limit=10**6)
    for name, sent, error in (
        ("refused", False, Unavailable("full")),
        ("broken", True, Unavailable("the store is away")),
        ("interrupted", False, Conflict("interrupted", code="run_lost")),
        ("ran", True, None),
    ):
        run = make_run(name)
        runs.begin(run)
        assert not runs.may_start(run.run_id)
        run.sent = sent
        end(runs, run, error=error)
        assert runs.may_start(run.run_id) == (name == "refused")
    assert runs.may_start(RunId("unheard of"))
