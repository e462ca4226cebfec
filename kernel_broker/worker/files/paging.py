"""Which page lists which file: a file stays on its page, so that a change rewrites one page only."""

from collections import Counter
from collections.abc import Iterable, Mapping

from kernel_broker.wire.pages import PREFIX, FileRecord, decode_page, encode_page

RECORDS = 64
"""Records of one page at most."""


class Paging:
    """Lays records out on pages; an unchanged page is the same bytes object as before."""

    def __init__(self) -> None:
        self._page_of: dict[str, int] = {}
        self._made: dict[int, tuple[list[FileRecord], bytes]] = {}
        self._laid: Mapping[str, FileRecord] = {}
        self._pages: dict[str, bytes] = {}

    def adopt(self, entries: Mapping[str, bytes]) -> None:
        """Go on from the pages of a state that was brought back."""
        self._page_of.clear()
        self._made.clear()
        self._pages = {name: data for name, data in entries.items() if name.startswith(PREFIX)}
        for name, data in self._pages.items():
            page = int(name.removeprefix(PREFIX))
            records = decode_page(data)
            self._made[page] = records, data
            self._page_of |= {record.path: page for record in records}
        self._laid = {record.path: record for records, _ in self._made.values() for record in records}

    def lay_out(self, records: Mapping[str, FileRecord]) -> dict[str, bytes]:
        """The pages that list these records, by the names of their entries."""
        if records == self._laid:
            return dict(self._pages)
        self._laid = dict(records)
        self._page_of = {path: page for path, page in self._page_of.items() if path in records}
        self._place(path for path in records if path not in self._page_of)
        # A page that gets empty stays: after a restart nobody would know that its entry is to be deleted.
        pages: dict[int, list[FileRecord]] = {page: [] for page in self._made}
        for path in sorted(records):
            pages.setdefault(self._page_of[path], []).append(records[path])
        self._made = {page: self._make(page, listed) for page, listed in sorted(pages.items())}
        self._pages = {f"{PREFIX}{page}": data for page, (_, data) in self._made.items()}
        return dict(self._pages)

    def _place(self, paths: Iterable[str]) -> None:
        used = Counter(self._page_of.values())
        page = 0
        for path in paths:
            while used[page] >= RECORDS:
                page += 1
            self._page_of[path] = page
            used[page] += 1

    def _make(self, page: int, records: list[FileRecord]) -> tuple[list[FileRecord], bytes]:
        made = self._made.get(page)
        return made if made is not None and made[0] == records else (records, encode_page(records))
