"""How a run that cannot be carried out ends: what its front end is told."""

from kernel_broker.errors import BrokerError
from kernel_broker.pool.handle import WorkerLost
from kernel_broker.sessions.run import Outcome, Run
from kernel_broker.sessions.tenure import Tenure


class Interrupted(BrokerError):
    """The run was interrupted, or its session restarted, before or while it ran."""

    code = "run_lost"


def as_broker_error(error: BrokerError | WorkerLost, tenure: Tenure) -> BrokerError:
    """The error as one that has a problem document."""
    if isinstance(error, BrokerError):
        return error
    return BrokerError(
        f"the process that ran this session has ended: {error}. The session stands at revision "
        f"{tenure.revision}, with everything up to the last finished cell; what this cell did in memory is "
        "lost. Run the next cell to go on from there." + _hint(str(error)),
        code="worker_lost",
        revision=tenure.revision,
    )


def _hint(text: str) -> str:
    return " (SIGKILL often means that memory ran out.)" if "SIGKILL" in text else ""


def fail(run: Run, error: BrokerError, tenure: Tenure) -> None:
    """Answer the front end with the error, and end the run's log."""
    problem = error.problem
    count = tenure.document.execution_count
    if isinstance(error, Interrupted):
        ename = "KeyboardInterrupt"
    else:
        ename = "".join(word.capitalize() for word in problem.code.split("_"))
    run.publish_failure(ename, problem.detail, count)
    run.finish(Outcome("failed", tenure.revision, count, problem=problem))
