"""The house rules that a machine can check: sizes, rooms, names."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "kernel_broker").rglob("*.py"), *(ROOT / "kernel_manager").rglob("*.py")])
MAY_HAVE_CODE = {"kernel_manager/__init__.py", "kernel_broker/__init__.py"}
TOP_LEVEL = {
    "kernel_broker", "kernel_manager", "images", "knative", "tests", "benchmarks", "examples", "docs",
    "pyproject.toml", "Dockerfile", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
}  # fmt: skip


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_file_can_be_held_in_the_head(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_functions_are_short(path: Path) -> None:
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > 45
    ]
    assert not long


@pytest.mark.parametrize("path", [p for p in SOURCES if p.name == "__init__.py"], ids=name)
def test_a_package_says_what_its_room_is_for_and_nothing_else(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1 or name(path) in MAY_HAVE_CODE


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_the_environment_is_read_in_settings_only(path: Path) -> None:
    readers = {"settings.py"}
    processes = {
        "zygote.py",
        "worker.py",
        "app.py",
        "runtime.py",
        "environment.py",
    }  # what one is exec'd with
    text = path.read_text()
    if re.search(r"os\.(environ|getenv)", text) and path.name not in readers | processes:
        assert "worker" in path.parts or name(path) == "kernel_manager/bridge/__main__.py"


def test_the_top_level_has_the_agreed_rooms_only() -> None:
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert found - {"dist", "build"} <= TOP_LEVEL | {n for n in found if n.endswith(".egg-info")}
