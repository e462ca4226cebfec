"""Much data in pieces, so that one session's gigabyte lets the others through in between."""

from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import TypeVar

from kernel_broker.store.contract import Buffer

K = TypeVar("K")
V = TypeVar("V")
B = TypeVar("B", bound=Buffer)


def by_count(items: Collection[V], limit: int) -> Iterator[list[V]]:
    """`items` in lists of at most `limit`."""
    rest = iter(items)
    while batch := list(islice(rest, limit)):
        yield batch


def by_size(parts: Mapping[K, B], limit: int) -> Iterator[dict[K, B]]:
    """`parts` in groups of at most `limit` bytes; one larger than that goes alone."""
    group: dict[K, B] = {}
    size = 0
    for key, data in parts.items():
        if group and size + len(data) > limit:
            yield group
            group, size = {}, 0
        group[key] = data
        size += len(data)
    if group:
        yield group
