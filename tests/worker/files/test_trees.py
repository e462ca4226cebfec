"""Any tree: changed at random, collected and restored step by step, it is the same in every folder."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.file_store import FileStore

_NAMES = st.one_of(
    st.sampled_from([b"a", b"b", b"c", b"d"]),  # the same ones often: files become folders, links, files
    st.binary(min_size=1, max_size=40).filter(
        lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
    ),
)
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map(lambda names: b"/".join(names))
_SIZES = st.sampled_from([0, 1, 10, 2**20 - 1, 2**20, 2**20 + 1, 2**21 + 7])
_TIMES = st.integers(min_value=-(10**18), max_value=14 * 10**18)
_MODES = st.integers(min_value=0, max_value=0o777)
_STEPS = st.one_of(
    st.tuples(st.just("write"), _PATHS, _SIZES),
    st.tuples(st.just("edit"), _PATHS, _SIZES),
    st.tuples(st.just("folder"), _PATHS, st.none()),
    st.tuples(st.just("link"), _PATHS, _PATHS),
    st.tuples(st.just("remove"), _PATHS, st.none()),
    st.tuples(st.just("rename"), _PATHS, _PATHS),
    st.tuples(st.just("mode"), _PATHS, _MODES),
    st.tuples(st.just("time"), _PATHS, _TIMES),
    st.tuples(st.just("commit"), st.none(), st.none()),
    st.tuples(st.just("move"), st.none(), st.none()),
)


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(_STEPS, min_size=1, max_size=25))
def test_a_tree_is_the_same_everywhere(steps: list[tuple[str, Any, Any]]) -> None:
    with tempfile.TemporaryDirectory() as home:
        store = FileStore(Path(home))
        for step in [*steps, ("move", None, None)]:
            if step[0] == "commit":
                store.commit()
            elif step[0] == "move":
                before = store.tree()
                assert store.move() == []
                assert store.tree() == before
            else:
                _do(store.folder, *step)
            assert store.files.pins == []


def _do(folder: Path, what: str, path: bytes, value: Any) -> None:
    target = folder / os.fsdecode(path)
    try:
        match what:
            case "write":
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(os.urandom(value))
            case "edit":
                with target.open("r+b") as file:
                    file.seek(value)
                    file.write(b"edited")
            case "folder":
                target.mkdir(parents=True)
            case "link":
                target.symlink_to(os.fsdecode(value))
            case "remove" if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            case "remove":
                target.unlink()
            case "rename":
                target.rename(folder / os.fsdecode(value))
            case "mode" if not target.is_symlink():
                target.chmod(value)
            case "time":
                os.utime(target, ns=(value, value), follow_symlinks=False)
    except OSError:
        pass  # there is no such thing, or one in the way: on to the next step
