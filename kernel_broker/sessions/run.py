"""A run: one request to a session's kernel, its log, and how it ends."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from typing import Any

from kernel_broker.sessions.runlog import RunLog
from kernel_broker.wire.events import EndStatus, to_line
from kernel_broker.wire.ids import Revision, RunId, SessionId, new_run_id
from kernel_broker.wire.messages import NOTICE, PROTOCOL_VERSION, Channel, Message
from kernel_broker.wire.problems import Problem

Json = dict[str, Any]

_OUTPUT_TYPES = frozenset({"stream", "display_data", "update_display_data", "execute_result"})


@dataclass(frozen=True, slots=True)
class Request:
    """A Jupyter request as it goes to the worker."""

    channel: Channel
    msg_type: str
    header: Json
    content: Json
    metadata: Json = field(default_factory=dict)
    parent_header: Json = field(default_factory=dict)
    buffers: Sequence[bytes] = ()

    @property
    def msg_id(self) -> str:
        """The id its answers carry in their parent header."""
        return str(self.header["msg_id"])

    def parts(self) -> list[bytes]:
        """The message as the worker's frame carries it."""
        dicts = (self.header, self.parent_header, self.metadata, self.content)
        return [*(_dump(part) for part in dicts), *self.buffers]


def make_header(msg_type: str, msg_id: str | None = None, given: Json | None = None) -> Json:
    """A Jupyter message header; what a front end has `given` of its own wins."""
    header = {
        "msg_id": msg_id or new_run_id(),
        "msg_type": msg_type,
        "username": "",
        "session": "",
        "date": datetime.now(UTC).isoformat(),
        "version": PROTOCOL_VERSION,
    }
    return header | (given or {})


def _dump(value: Json) -> bytes:
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair: JSON can say it, UTF-8 cannot
        return json.dumps(value, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    status: EndStatus
    revision: Revision
    execution_count: int
    notices: Sequence[str] = ()
    background: bool = False
    problem: Problem | None = None
    checkout: Revision | None = None
    """The revision to which the cell wants the session to go back."""

    def members(self) -> Json:
        """The members of the `end` line."""
        members: Json = {
            "status": self.status,
            "revision": self.revision,
            "execution_count": self.execution_count,
            "notices": list(self.notices),
            "background": self.background,
        }
        if self.problem is not None:
            members["problem"] = self.problem.to_json()
        return members


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one run may take: seconds, bytes of log kept in memory, bytes of output."""

    timeout: float | None = None
    log: int = 16 * 2**20
    output: int = 64 * 2**20


class Run:
    """One request on its way. It belongs to the session: readers come and go."""

    def __init__(
        self, session_id: SessionId, run_id: RunId, request: Request, bounds: Bounds = Bounds()
    ) -> None:
        self.session_id = session_id
        self.run_id = run_id
        self.request = request
        self.timeout = bounds.timeout
        self.log = RunLog(bounds.log)
        self._output_left = bounds.output
        self.sent = False
        """Whether the worker has been given the request."""
        self.waiting_for_input = False
        self.interrupted = False
        self.held: list[Message] = []
        """The reply and the final idle status, kept back until the state is committed."""
        self.done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        """Resolved when the worker is done and its state is committed."""
        self.accepted_at = time.monotonic()
        self.outcome: Outcome | None = None
        self.release: Callable[[], None] = lambda: None
        """Called when it ends, before the last line is logged: who reads that may begin the next run."""

    @property
    def executes(self) -> bool:
        """Whether this is a cell; on the control channel, code runs beside the cells and commits nothing."""
        return self.request.msg_type == "execute_request" and self.request.channel == "shell"

    def accept(self, revision: Revision) -> None:
        """Log the first line."""
        members = {"session_id": self.session_id, "run_id": self.run_id, "revision": revision}
        self.log.append(lambda seq: to_line("accepted", seq, **members))

    def queue(self, position: int, reason: str) -> None:
        """Log that the run waits, and why."""
        self.log.append(lambda seq: to_line("queued", seq, position=position, reason=reason, retry_after=1))

    def publish(self, message: Message) -> None:
        """Log a Jupyter message; output beyond the run's bound is dropped, and said so once."""
        if message.msg_type not in _OUTPUT_TYPES:
            self.log.append(message.to_line)
        elif self._output_left > 0:
            self._output_left -= message.size
            self.log.append(message.to_line)
            if self._output_left <= 0:
                self.warn("this cell has reached the limit of its output; the rest of it is dropped")

    def warn(self, text: str) -> None:
        """Tell the user something, on the cell's standard error."""
        content = {"name": "stderr", "text": f"Serverless Python: {text}\n"}
        self.log.append(self.answer("iopub", "stream", content).to_line)

    def show_notice(self, text: str) -> None:
        """Show a notice of what cannot be carried: a display of its own, beside what the cell printed."""
        data = {"text/plain": text, "text/html": f"<small>{escape(text)}</small>"}
        content = {"data": data, "metadata": {NOTICE: True}, "transient": {}}
        self.log.append(self.answer("iopub", "display_data", content).to_line)

    def answer(self, channel: Channel, msg_type: str, content: Json) -> Message:
        """A message of the broker's own, in answer to the request."""
        return Message(
            channel=channel,
            msg_type=msg_type,
            parent_id=self.request.msg_id,
            header=_dump(make_header(msg_type)),
            parent_header=_dump(self.request.header),
            metadata=b"{}",
            content=_dump(content),
        )

    def publish_failure(self, ename: str, evalue: str, execution_count: int) -> None:
        """Answer the front end as a kernel would whose cell raised `ename: evalue`."""
        if not self.sent:
            self.publish(self.answer("iopub", "status", {"execution_state": "busy"}))
        error = {"ename": ename, "evalue": evalue, "traceback": [f"\x1b[31m{ename}\x1b[39m: {evalue}"]}
        if self.executes:
            self.publish(self.answer("iopub", "error", error))
        reply_type = self.request.msg_type.removesuffix("_request") + "_reply"
        reply = {
            "status": "error",
            **error,
            "execution_count": execution_count,
            "user_expressions": {},
            "payload": [],
        }
        if self.request.msg_type.endswith("_request"):
            self.publish(self.answer(self.request.channel, reply_type, reply))
        self.publish(self.answer("iopub", "status", {"execution_state": "idle"}))

    def closing_lines(self, outcome: Outcome) -> bytes:
        """The lines that `conclude` will log: what was held back, and the end."""
        makers = [message.to_line for message in self.held] + [_end_line(outcome)]
        return b"".join(make(seq) for seq, make in enumerate(makers, self.log.next_seq))

    def conclude(self, outcome: Outcome) -> None:
        """Log what was held back, and the end."""
        for message in self.held:
            self.publish(message)
        self.finish(outcome)

    def finish(self, outcome: Outcome) -> None:
        """Log the last line; the first end counts."""
        if not self.log.ended:
            self.outcome = outcome
            self.release()
            self.log.end(_end_line(outcome))


def _end_line(outcome: Outcome) -> Callable[[int], bytes]:
    return lambda seq: to_line("end", seq, **outcome.members())
