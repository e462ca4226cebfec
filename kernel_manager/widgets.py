"""Keeps the state of Jupyter widgets as a notebook file stores it (as nbclient does it)."""

from typing import Any

from kernel_broker.wire.events import Event

MIME = "application/vnd.jupyter.widget-state+json"


class WidgetStates:
    """Learns from the comm messages of a notebook's cells."""

    def __init__(self) -> None:
        self._states: dict[str, dict[str, Any]] = {}
        self._buffers: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {}

    def read(self, event: Event) -> None:
        """Take in one message of a run."""
        content = event["content"]
        data = content.get("data")
        if not event["msg_type"].startswith("comm_") or not isinstance(data, dict) or "state" not in data:
            return
        comm_id = content["comm_id"]
        self._states.setdefault(comm_id, {}).update(data["state"])
        paths = data.get("buffer_paths") or []
        for path, buffer in zip(paths, event.get("buffers") or [], strict=False):
            entry = {"data": buffer, "encoding": "base64", "path": path}
            self._buffers.setdefault(comm_id, {})[tuple(map(str, path))] = entry

    def to_metadata(self) -> dict[str, Any] | None:
        """The notebook's `widgets` metadata; None if no widget was made."""
        state = {
            comm_id: self._to_model(comm_id, fields)
            for comm_id, fields in self._states.items()
            if "_model_name" in fields
        }
        return {MIME: {"state": state, "version_major": 2, "version_minor": 0}} if state else None

    def _to_model(self, comm_id: str, fields: dict[str, Any]) -> dict[str, Any]:
        model = {
            "model_name": fields.get("_model_name"),
            "model_module": fields.get("_model_module"),
            "model_module_version": fields.get("_model_module_version"),
            "state": fields,
        }
        buffers = self._buffers.get(comm_id)
        return {**model, "buffers": list(buffers.values())} if buffers else model
