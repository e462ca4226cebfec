"""What a session brings into its process: environment variables, the import path, the working directory."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_ZYGOTES_OWN = frozenset({"PYTHONHASHSEED", "JE_ARROW_MALLOC_CONF", "PYDEVD_DISABLE_FILE_VALIDATION"})
"""Set for the zygote's sake; what user code starts must not inherit them."""


def adopt(session: Mapping[str, str]) -> None:
    """Make the session's variables the process's, over the few (PATH, HOME, …) the zygote was given."""
    for name in _ZYGOTES_OWN:
        os.environ.pop(name, None)
    os.environ.update(session)
    _extend_import_path(session.get("PYTHONPATH", ""))


def _extend_import_path(given: str) -> None:
    """Python reads PYTHONPATH before the zygote knows whom it will serve: apply it now, in its place."""
    entries = [entry for entry in given.split(os.pathsep) if entry and entry not in sys.path]
    start = 1 if sys.path[:1] == [""] else 0
    sys.path[start:start] = entries


def change_directory(path: str | None) -> str | None:
    """Enter the session's directory; the problem in words if that cannot be done."""
    if path is None:
        return None
    try:
        os.chdir(path)
    except OSError as error:
        here = str(Path.cwd())
        return f"the working directory {path!r} cannot be entered ({error.strerror}); using {here!r}"
    return None
