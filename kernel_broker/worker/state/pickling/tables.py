"""Readers and writers of the csv module: C objects that show what they hold only to the garbage collector."""

import csv
import gc
import itertools
from typing import Any


def reduce_writer(_pickler: Any, writer: Any) -> Any:
    """The `write` it calls, and its dialect."""
    write = next(item for item in gc.get_referents(writer) if callable(item) and not isinstance(item, type))
    return new_writer, (write, writer.dialect)


def new_writer(write: Any, dialect: Any) -> Any:
    """A writer that calls `write`."""
    target = type("Target", (), {"write": staticmethod(write)})
    return csv.writer(target(), dialect)


def reduce_reader(_pickler: Any, reader: Any) -> Any:
    """The lines it has yet to take, its dialect and its place."""
    lines = next(item for item in gc.get_referents(reader) if hasattr(item, "__next__"))
    return new_reader, (lines, reader.dialect, reader.line_num)


def new_reader(lines: Any, dialect: Any, place: int) -> Any:
    """A reader that goes on at its place: an empty line counts, and gives an empty row."""
    reader = csv.reader(itertools.chain(itertools.repeat("", place), lines), dialect)
    for _ in itertools.islice(reader, place):
        pass
    return reader


def reduce_dialect(_pickler: Any, dialect: Any) -> Any:
    """Its parameters."""
    names = ("delimiter", "doublequote", "escapechar", "lineterminator", "quotechar", "quoting")
    values = {name: getattr(dialect, name) for name in (*names, "skipinitialspace", "strict")}
    return new_dialect, (values,)


def new_dialect(values: dict[str, Any]) -> Any:
    """A dialect of these parameters."""
    return csv.reader((), **values).dialect
