"""Programs kept as text in `cases/*.cells`: `# == name` begins one, `# --` parts its cells."""

from pathlib import Path

FOLDER = Path(__file__).parent / "cases"


def read(section: str) -> dict[str, list[str]]:
    """The programs of one file: cells by name."""
    _, *programs = (FOLDER / f"{section}.cells").read_text().split("\n# == ")
    split = (program.partition("\n") for program in programs)
    return {name: [cell.strip("\n") for cell in text.split("\n# --\n")] for name, _, text in split}


def sections() -> list[str]:
    """The names of the files."""
    return sorted(path.stem for path in FOLDER.glob("*.cells"))
