"""The tables of `docs/state.md`, from the programs of the tests. Run this file to write them."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent / "cases"
PAGE = Path(__file__).parents[3] / "docs" / "state.md"

Programs = dict[str, list[str]]


def read(path: Path) -> tuple[str, Programs]:
    """What a file says of itself, and its programs."""
    title, *programs = path.read_text().split("\n# == ")
    parted = (program.partition("\n") for program in programs)
    return title.strip(), {name: text.strip("\n").split("\n# --\n") for name, _, text in parted}


def code(text: str) -> str:
    """A cell of a table."""
    lines = [line for line in text.strip("\n").splitlines() if not line.startswith("# needs ")]
    return "<br>".join(f"`{line}`".replace("|", "\\|") for line in lines)


def travelling() -> str:
    """What is moved after every cell, and gives the same."""
    rows = ["| | programs |", "|---|---|"]
    for path in sorted(FOLDER.glob("*.cells")):
        if path.stem not in ("lost", "differs"):
            title, programs = read(path)
            short = re.sub(r"^[A-Z]\. ", "", title.partition("\n")[0]).split(" `#")[0].rstrip(".:")
            rows.append(f"| [{short}](../tests/worker/state/cases/{path.name}) | {'; '.join(programs)} |")
    return "\n".join(rows)


def lost() -> str:
    """What lives in its process only, with the error of a use after a move."""
    _, programs = read(FOLDER / "lost.cells")
    rows = ["| made in cell 2 | used after a move |", "|---|---|"]
    for making, kind, reason, use in programs.values():
        text = f"StateLost: 'x': {kind} made in cell [2] {reason}; re-run cell 2"
        rows.append(f"| {code(making)} | {code(use)}<br>{code(text)} |")
    return "\n".join(rows)


def differing() -> str:
    """What is known to be otherwise after a move."""
    _, programs = read(FOLDER / "differs.cells")
    rows = ["| | a cell | the next, after a move | shows |", "|---|---|---|---|"]
    for name, (first, second, shown) in programs.items():
        rows.append(f"| {name} | {code(first)} | {code(second)} | {code(shown)} |")
    return "\n".join(rows)


TABLES = {"travels": travelling, "lost": lost, "differs": differing}


def filled(page: str) -> str:
    """The page with its tables as they should be."""
    for name, table in TABLES.items():
        start, end = f"<!-- table: {name} -->\n", f"<!-- end: {name} -->"
        before, _, rest = page.partition(start)
        page = before + start + table() + "\n" + end + rest.partition(end)[2]
    return page


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
