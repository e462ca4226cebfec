"""Working directories of workers: private, fresh, and gone with their owner, however it ends."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kernel_broker.errors import Unavailable
from kernel_broker.pool.folders import Folders, remove_tree


async def test_a_folder_is_private_empty_and_at_the_same_path_again(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "base")
    first = await folders.take("s1")
    assert first.path.stat().st_mode & 0o777 == 0o700
    (first.path / "file").write_text("x")
    await first.remove()
    await first.remove()
    assert not first.path.exists()
    again = await folders.take("s1")
    assert again.path == first.path
    assert list(again.path.iterdir()) == []
    await folders.close()
    assert sorted(path.name for path in (tmp_path / "base").iterdir()) == ["0.lock"]


async def test_the_next_folder_of_a_session_waits_for_the_last_one_to_be_gone(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    first = await folders.take("s1")
    waiting = asyncio.create_task(folders.take("s1"))
    await asyncio.sleep(0)
    assert not waiting.done()
    await first.remove()
    assert (await waiting).path.exists()
    await folders.close()


async def test_brokers_on_one_machine_do_not_share_folders(tmp_path: Path) -> None:
    one, other = Folders(tmp_path), Folders(tmp_path)
    mine, theirs = await one.take("s1"), await other.take("s1")
    assert mine.path != theirs.path
    await other.open()
    assert mine.path.exists()
    await one.close()
    assert theirs.path.exists()
    await other.close()


async def test_what_a_killed_broker_left_is_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import asyncio, os, signal, sys\n"
        "from pathlib import Path\n"
        "from kernel_broker.pool.folders import Folders\n"
        "async def main():\n"
        "    for name in ('s1', 's2'):\n"
        "        folder = await folders.take(name)\n"
        "        (folder.path / 'left').write_text('x')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "folders = Folders(Path(sys.argv[1]))\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert (tmp_path / "0" / "s1" / "left").exists()
    folders = Folders(tmp_path)
    await folders.open()
    assert not (tmp_path / "0" / "s1").exists()
    await folders.close()


async def test_a_base_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    folders = Folders(tmp_path)
    await folders.open()
    with pytest.raises(Unavailable, match="no other can write"):
        await folders.take("s1")
    await folders.close()


def test_a_tree_of_any_shape_is_removed(tmp_path: Path) -> None:
    victim, tree = tmp_path / "victim", tmp_path / "tree"
    victim.mkdir()
    (victim / "precious").write_text("stays")
    (tree / "locked" / "inner").mkdir(parents=True)
    (tree / "locked" / "inner" / "file").write_text("x")
    (tree / "link").symlink_to(victim)
    (tree / "locked" / "link").symlink_to(victim)
    here = os.open(tree, os.O_RDONLY)
    for _ in range(3000):  # deeper than a path can say, than Python recurses, than there are descriptors
        os.mkdir("deep", dir_fd=here)
        below = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    (tree / "locked" / "inner").chmod(0)
    (tree / "locked").chmod(0o500)
    remove_tree(tree)
    assert not tree.exists()
    assert (victim / "precious").read_text() == "stays"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_tree_of_locked_folders_is_removed_by_its_owner(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    code = (
        "import os, sys; from pathlib import Path; from kernel_broker.pool.folders import remove_tree\n"
        "os.setuid(65534)\n"
        "tree = Path(sys.argv[1]); (tree / 'a' / 'b').mkdir(parents=True); (tree / 'a/b/f').write_text('x')\n"
        "(tree / 'a' / 'b').chmod(0); (tree / 'a').chmod(0); remove_tree(tree)\n"
    )
    for folder in (tmp_path, *list(tmp_path.parents)[:-2]):
        folder.chmod(folder.stat().st_mode | 0o111)
    tmp_path.chmod(0o777)
    subprocess.run([sys.executable, "-c", code, str(tree)], check=True)
    assert not tree.exists()
