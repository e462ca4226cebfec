"""A cell's outputs as a notebook file keeps them, grown message by message (as nbclient does it)."""

from typing import Any, Final

Output = dict[str, Any]

_MEMBERS: Final = {
    "stream": ("name", "text"),
    "display_data": ("data", "metadata"),
    "execute_result": ("data", "metadata", "execution_count"),
    "error": ("ename", "evalue", "traceback"),
}


class OutputLog:
    """The outputs of one cell: later messages may replace or clear earlier ones."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        self._displays: dict[str, list[Output]] = {}
        self._clear_before_next = False

    def add(self, msg_type: str, content: dict[str, Any]) -> Output | None:
        """Take in one iopub message; returns the output that it made or extended, if any."""
        if msg_type == "clear_output":
            self._clear_before_next = bool(content.get("wait"))
            if not self._clear_before_next:
                self._clear()
        if msg_type not in _MEMBERS:
            return None
        if self._clear_before_next:
            self._clear_before_next = False
            self._clear()
        if msg_type == "stream" and (last := self._last_stream(content["name"])) is not None:
            last["text"] += content["text"]
            return last
        output = to_output(msg_type, content)
        self.outputs.append(output)
        if display_id := read_display_id(content):
            self._displays.setdefault(display_id, []).append(output)
        return output

    def update_display(self, display_id: str, content: dict[str, Any]) -> None:
        """Show new data wherever this display is shown."""
        for output in self._displays.get(display_id, ()):
            output["data"] = content["data"]
            output["metadata"] = content.get("metadata", {})

    def _clear(self) -> None:
        self.outputs.clear()
        self._displays.clear()

    def _last_stream(self, name: str) -> Output | None:
        last = self.outputs[-1] if self.outputs else {}
        return last if last.get("output_type") == "stream" and last.get("name") == name else None


def to_output(msg_type: str, content: dict[str, Any]) -> Output:
    """The nbformat output that an iopub message stands for."""
    return {"output_type": msg_type, **{name: content[name] for name in _MEMBERS[msg_type]}}


def read_display_id(content: dict[str, Any]) -> str | None:
    """The display that a message makes or updates (`transient` may be null)."""
    display_id = (content.get("transient") or {}).get("display_id")
    return display_id if isinstance(display_id, str) else None
