"""Lines of an answer stream that are not Jupyter messages, and the reading of any line.

Every line is a JSON object with `event` and `seq`. A stream starts with `accepted`, and is whole
only if it ends with `end`; anything else is a cut, and the reader re-attaches with the last `seq`.

| event     | members besides `seq`                                                              |
|-----------|------------------------------------------------------------------------------------|
| accepted  | session_id, run_id, revision (of the state the run starts from)                    |
| queued    | position (1 is next), reason, retry_after (seconds)                                |
| message   | a Jupyter message: channel, msg_type, its four dicts, buffers (a list of base64)     |
| dropped   | first, last: numbers of lines this reader has missed for good                      |
| heartbeat | none; repeats the `seq` of the last line                                           |
| end       | status, revision, execution_count, notices, background, problem                    |
"""

import json
from typing import Any, Final, Literal

from kernel_broker.wire.text import to_json

Event = dict[str, Any]
EndStatus = Literal["ok", "error", "aborted", "failed"]
"""`error`: the cell raised, its state is committed. `failed`: see the end's `problem`.

A `problem` beside another status says why the state after the run could not be saved.
"""

HEARTBEAT_SECONDS: Final = 10.0
"""The longest silence on a stream; a reader may take thrice this for a dead connection."""


class LineError(ValueError):
    """A line that is no event: the stream was cut or a proxy wrote into it."""


def to_line(event: str, seq: int, **members: Any) -> bytes:
    """One event as an NDJSON line."""
    whole = {"event": event, "seq": seq, **members}
    line = json.dumps(whole, separators=(",", ":"), ensure_ascii=False)
    try:
        return line.encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair: JSON can say it, UTF-8 cannot
        return to_json(whole).encode() + b"\n"


def read_line(line: str | bytes) -> Event:
    """Parse one line; raises `LineError` if it is not an event."""
    try:
        event = json.loads(line)
    except ValueError as error:
        raise LineError(f"not an event line: {line[:80]!r}") from error
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise LineError(f"not an event line: {line[:80]!r}")
    if not isinstance(event.get("seq"), int):
        raise LineError(f"event line without seq: {line[:80]!r}")
    return event
