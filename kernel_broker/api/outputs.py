"""From a run's event lines to one object with nbformat outputs.

Source of the rules: nbformat 4.5 "Code cell outputs"; clear_output and update_display_data as nbclient does.
"""

from collections.abc import AsyncIterator
from typing import Any

from kernel_broker.wire.events import Event, read_line

Json = dict[str, Any]


class Outputs:
    """Collects the events of one run."""

    def __init__(self) -> None:
        self.outputs: list[Json] = []
        self.reply: Json = {}
        self.error: Json | None = None
        self.end: Event = {}
        self._clear_before_next = False
        self._displays: dict[str, list[Json]] = {}

    async def collect(self, lines: AsyncIterator[bytes]) -> None:
        """Read a run's log to its end."""
        async for piece in lines:
            for line in piece.splitlines():
                self._take(read_line(line))

    def _take(self, event: Event) -> None:
        if event["event"] == "end":
            self.end = event
        elif event["event"] == "dropped":
            count = event["last"] - event["first"] + 1
            text = f"Serverless Python: {count} earlier messages of this cell are not kept any more\n"
            self._take_output("stream", {"name": "stderr", "text": text})
        elif event["event"] == "message":
            if event["msg_type"] == "execute_reply":
                self.reply = event["content"]
            elif event["channel"] == "iopub":
                self._take_output(event["msg_type"], event["content"])

    def _take_output(self, kind: str, content: Json) -> None:
        if kind == "clear_output":
            self._clear_before_next = content.get("wait", False)
            if not self._clear_before_next:
                self.outputs.clear()
        elif kind == "update_display_data":
            for output in self._displays.get(content.get("transient", {}).get("display_id", ""), []):
                output["data"], output["metadata"] = content["data"], content["metadata"]
        elif kind in ("stream", "display_data", "execute_result", "error"):
            if self._clear_before_next:
                self.outputs.clear()
                self._clear_before_next = False
            self._add(kind, content)

    def _add(self, kind: str, content: Json) -> None:
        if kind == "stream":
            last = self.outputs[-1] if self.outputs else {}
            if last.get("output_type") == "stream" and last["name"] == content["name"]:
                last["text"] += content["text"]
                return
            output = {"output_type": kind, "name": content["name"], "text": content["text"]}
        elif kind == "error":
            self.error = {name: content[name] for name in ("ename", "evalue", "traceback")}
            output = {"output_type": kind, **self.error}
        else:
            output = {"output_type": kind, "data": content["data"], "metadata": content["metadata"]}
            if kind == "execute_result":
                output["execution_count"] = content["execution_count"]
            display_id = content.get("transient", {}).get("display_id")
            if display_id is not None:
                self._displays.setdefault(display_id, []).append(output)
        self.outputs.append(output)

    def result(self, run_id: str) -> Json:
        """The run as one object."""
        return {
            "run_id": run_id,
            "status": self.end["status"],
            "execution_count": self.end["execution_count"],
            "outputs": self.outputs,
            "error": self.error,
            "revision": self.end["revision"],
            "notices": self.end["notices"],
            "problem": self.end.get("problem"),
            "payload": self.reply.get("payload", []),
            "user_expressions": self.reply.get("user_expressions", {}),
        }
