"""JSON as the wire has it. Bound here once: user code may replace the functions of `json` in its process."""

import json
from typing import Any, Final

to_json: Final = json.JSONEncoder(separators=(",", ":")).encode
to_sorted_json: Final = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode

_decode: Final = json.JSONDecoder().decode


def from_json(data: bytes | bytearray | memoryview | str) -> Any:
    """The value of a JSON text, UTF-8 if it is bytes. Raises `ValueError`."""
    return _decode(data if isinstance(data, str) else bytes(data).decode())
