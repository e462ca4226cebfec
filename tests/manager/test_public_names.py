"""The public surface is a list, and here the list is compared with reality."""

import inspect
import subprocess
import sys

import kernel_manager
from kernel_manager.client import errors


def test_every_name_is_there_and_no_other() -> None:
    for name in kernel_manager.__all__:
        assert getattr(kernel_manager, name).__name__ == name
    assert sorted(kernel_manager.__all__) == kernel_manager.__all__
    assert set(kernel_manager.__all__) == set(kernel_manager._HOMES)
    assert set(kernel_manager.__all__) <= set(dir(kernel_manager))


def test_every_error_is_public_and_drawn_in_the_tree() -> None:
    classes = {
        name
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if kind.__module__ == errors.__name__
    }
    assert classes <= set(kernel_manager.__all__)
    for name in classes:
        assert name in (errors.__doc__ or "")


def test_importing_loads_nothing() -> None:
    code = "import kernel_manager, sys; print(*({'httpx', 'nbformat', 'asyncio'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == ""
