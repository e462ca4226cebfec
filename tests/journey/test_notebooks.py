"""Ten notebooks give ipykernel's outputs, also when the kernel moves between every two cells."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from fixtures.notebooks import NOTEBOOKS, Played, play
from kernel_manager.connect import new_client
from kernel_manager.local import read_status
from kernel_manager.settings import read_settings

pytestmark = pytest.mark.timeout(400)  # the first test of each way runs it for all notebooks

NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A local broker of one's own, and for ipykernel the order of sets that the broker's workers have."""
    home = tmp_path_factory.mktemp("notebooks")
    with pytest.MonkeyPatch.context() as patch:
        for name in [
            name for name in os.environ if name.startswith(("KERNEL_BROKER_", "SERVERLESS_KERNEL_"))
        ]:
            patch.delenv(name)
        patch.setenv("SERVERLESS_KERNEL_RUNTIME_DIR", str(home / "run"))
        patch.setenv("XDG_STATE_HOME", str(home / "state"))
        patch.setenv("IPYTHONDIR", str(home / "ipython"))
        patch.setenv("PYTHONHASHSEED", "0")
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        yield home
        kill_broker()


def kill_broker() -> None:
    """Kill the local broker, and wait until it and its workers are gone."""
    status = read_status(read_settings().local)
    if status.running:
        broker = psutil.Process(status.record["pid"])
        family = [broker, *broker.children(recursive=True)]
        broker.kill()
        _, alive = psutil.wait_procs(family, timeout=20)
        assert not alive


async def kill_between(_kernels: list[str]) -> None:
    await asyncio.to_thread(kill_broker)


async def evict_between(kernels: list[str]) -> None:
    async with new_client(read_settings()) as client, asyncio.TaskGroup() as tasks:
        for kernel in kernels:
            tasks.create_task(client.evict(kernel))


WAYS = {
    "ipykernel": ("python3", None),
    "warm": ("serverless-python", None),
    "evicted": ("serverless-python", evict_between),
    "killed": ("serverless-python", kill_between),
}
Run = Callable[[str, str], Played]


@pytest.fixture(scope="module")
def run(home: Path, request: pytest.FixtureRequest) -> Run:
    """The outcome of one notebook run one way; the first question runs all notebooks that are asked for."""
    items = [item for item in request.session.items if item.path == request.path]
    wanted = [name for name in NAMES if any(f"[{name}" in item.nodeid for item in items)]
    done: dict[str, dict[str, Played]] = {}

    def outcome(way: str, name: str) -> Played:
        if way not in done:
            kernel_name, between = WAYS[way]
            done[way] = asyncio.run(play(wanted, kernel_name, home / way, between))
        return done[way][name]

    return outcome


@pytest.mark.parametrize("name", NAMES)
def test_on_ipykernel_only_the_cells_fail_that_are_meant_to(run: Run, name: str) -> None:
    played = run("ipykernel", name)
    meant = [cell.id for cell in played.cells if "raises-exception" in cell.metadata.get("tags", [])]
    assert played.failed == meant
    assert 10 <= len(played.cells) <= 25


@pytest.mark.parametrize("way", [way for way in WAYS if way != "ipykernel"])
@pytest.mark.parametrize("name", NAMES)
def test_the_same_outputs_as_on_ipykernel(run: Run, name: str, way: str) -> None:
    expected, found = run("ipykernel", name).comparable(), run(way, name).comparable()
    different = [cell for cell in expected if found[cell] != expected[cell]]
    for cell in different:
        assert found[cell] == expected[cell], f"cell {cell} of {different}"


CHANGES: dict[str, Callable[[list[Any]], object]] = {
    "a number": lambda outputs: outputs[0].update(text="total 42\n"),
    "which stream": lambda outputs: outputs[0].update(name="stderr"),
    "a byte of a picture": lambda outputs: outputs[1]["data"].update({"image/png": "iVBORw0KGgp="}),
    "an output less": lambda outputs: outputs.pop(),
    "an output more": lambda outputs: outputs.append(dict(outputs[0])),
    "the order": lambda outputs: outputs.reverse(),
    "a line of a traceback": lambda outputs: outputs[2]["traceback"].pop(),
    "the model shown": lambda outputs: outputs[3]["data"]["view"].update(model_id="b" * 32),
    "metadata": lambda outputs: outputs[1]["metadata"].update(width=5),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_comparison_sees(change: Callable[[list[Any]], object], tmp_path: Path) -> None:
    def comparable(*alter: Callable[[list[Any]], object]) -> dict[str, Any]:
        outputs: list[Any] = [
            {"output_type": "stream", "name": "stdout", "text": "total 41\n"},
            {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo="}, "metadata": {}},
            {"output_type": "error", "ename": "E", "evalue": "e", "traceback": ["In[1], line 1", "In[2]"]},
            {"output_type": "display_data", "data": {"view": {"model_id": "a" * 32}}, "metadata": {}},
            {"output_type": "display_data", "data": {"view": {"model_id": "b" * 32}}, "metadata": {}},
        ]
        for function in alter:
            function(outputs)
        cell = nbformat.from_dict({"cell_type": "code", "id": "c", "execution_count": 1, "outputs": outputs})
        return Played(nbformat.from_dict({"cells": [cell], "metadata": {}}), tmp_path).comparable()

    assert comparable() == comparable()
    assert comparable(change) != comparable()
