"""Records: how a state stores its variables. The worker writes them; anyone may read their headers.

A page is records, each led by its length (4 bytes, big-endian). A record is the length of its header
(4 bytes), the header (JSON), and a stream that only the worker can read.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from kernel_broker.wire.text import from_json, to_json

PREFIX: Final = "units/"
"""Entries of a state that start so are pages of records."""

_LENGTH = 4


def split_page(page: bytes) -> Iterator[bytes]:
    """The records of a page. Raises `ValueError` if it is no page."""
    place = 0
    while place < len(page):
        start = place + _LENGTH
        place = start + int.from_bytes(page[place:start], "big")
        if place > len(page):
            raise ValueError("a page of the state is cut off")
        yield bytes(page[start:place])


def join_page(records: Iterable[bytes]) -> bytes:
    """A page of records."""
    return b"".join(part for record in records for part in (len(record).to_bytes(_LENGTH, "big"), record))


def split_record(record: bytes) -> tuple[dict[str, Any], bytes]:
    """The header, and the stream if it is in the record. Raises `ValueError`."""
    end = _LENGTH + int.from_bytes(record[:_LENGTH], "big")
    try:
        header = from_json(record[_LENGTH:end])
        return {**header}, record[end:]
    except (TypeError, RecursionError) as error:
        raise ValueError("a record of the state has no header") from error


def read_page(page: bytes) -> Iterator[tuple[bytes, dict[str, Any], bytes]]:
    """The records of a page, each with its header and its stream. Raises `ValueError`."""
    records = list(split_page(page))
    ends = [_LENGTH + int.from_bytes(record[:_LENGTH], "big") for record in records]
    heads = [record[_LENGTH:end] for record, end in zip(records, ends, strict=True)]
    headers = from_json(b"[" + b",".join(heads) + b"]")  # at once: there may be very many
    for record, header, end in zip(records, headers, ends, strict=True):
        yield record, header, record[end:]


def join_record(header: Mapping[str, Any], stream: bytes | memoryview) -> bytes:
    """A record; members of the header that are empty are left out."""
    told = {name: value for name, value in header.items() if value}
    head = to_json(told).encode()
    return b"".join((len(head).to_bytes(_LENGTH, "big"), head, stream))


def variables(entries: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """What the headers tell of the user's variables, by name: type, size, preview, cell, and what was lost.

    `size` is that of all that is stored together with the variable, whose names are in `shares`. Raises
    `ValueError` if an entry is not what it should be.
    """
    found = []
    for entry, page in entries.items():
        if entry.startswith(PREFIX):
            for record in split_page(page):
                found += _checked(split_record(record)[0])
    return sorted(found, key=lambda variable: str(variable["name"]))


def _checked(header: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        rows = _variables_of(header)
    except (TypeError, AttributeError) as error:
        raise ValueError("a record of the state is malformed") from error
    for row in rows:
        losses = row["pinned"]
        texts = [*(row[name] for name in ("name", "type", "preview")), *row["shares"]]
        texts += [loss[name] for loss in losses for name in ("type", "reason")]
        cells = [row["cell"], *(loss["cell"] for loss in losses)]
        numbers = [row["size"], *(cell for cell in cells if cell is not None)]
        if any(type(text) is not str for text in texts) or any(type(number) is not int for number in numbers):
            raise ValueError("a record of the state is malformed")
    return rows


def _variables_of(header: dict[str, Any]) -> list[dict[str, Any]]:
    shown = header.get("variables", ())
    lost = header.get("lost", ())
    together = [] if header.get("packed") else [name for name, *_ in shown]
    return [
        {
            "name": name,
            "type": kind,
            "preview": preview,
            "cell": cell,
            "size": 0 if header.get("packed") else header.get("size", 0),
            "shares": [other for other in together if other != name],
            "pinned": [
                {"type": type_, "reason": reason, "cell": made}
                for root, type_, reason, made in lost
                if root == name
            ],
        }
        for name, kind, preview, cell in shown
        if not is_shells(name)
    ]


def is_shells(name: str) -> bool:
    """Whether a variable is one of IPython's for results: `_`, `__`, `___`, `_N`."""
    return name.strip("_") == "" or (name[:1] == "_" and name[1:].isdecimal())
