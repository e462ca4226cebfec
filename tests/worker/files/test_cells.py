"""Cells that work with files, in a session that is moved to a fresh process and a fresh folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.state_lab import Answer, Bench, Sitting
from kernel_broker.pool.folders import remove_tree

LIMITS = {"total": 2**26, "count": 1000, "single": 2**24}


class Tenant(Sitting):
    """Every worker finds an empty folder, at the same place."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        super().__init__(bench, folder)
        self.birth = {"files": LIMITS}
        folder.mkdir()

    def move(self) -> None:
        super().move()
        remove_tree(self._folder)
        self._folder.mkdir()


@pytest.fixture
def tenant(bench: Bench, tmp_path: Path) -> Iterator[Tenant]:
    sitting = Tenant(bench, tmp_path / "folder")
    yield sitting
    sitting.move()


def run(tenant: Tenant, code: str) -> Answer:
    answer = tenant.run(code)
    assert answer.error is None, answer.traceback
    return answer


def test_a_file_is_there_for_the_next_cell(tenant: Tenant) -> None:
    run(
        tenant, "open('a', 'w').write('one'); import os; os.mkdir('d'); os.chdir('d'); open('b', 'w').close()"
    )
    tenant.move()
    assert run(tenant, "print(os.getcwd().split('/')[-1], os.listdir(), open('../a').read())").text == (
        "d ['b'] one\n"
    )
    assert tenant.lost == []


def test_a_folder_that_a_cell_entered_is_found_where_the_files_are_next(tenant: Tenant) -> None:
    run(tenant, "import os; os.makedirs('a/b'); os.chdir('a/b')")
    tenant.move()
    tenant._folder = tenant._folder.with_name("another")
    tenant._folder.mkdir()
    assert run(tenant, "print(os.getcwd())").text == f"{tenant._folder}/a/b\n"
    run(tenant, "os.chdir('/')")
    tenant.move()
    assert run(tenant, "print(os.getcwd())").text == "/\n"


def test_a_cell_without_files_commits_none(tenant: Tenant) -> None:
    run(tenant, "x = 1")
    run(tenant, "open('a', 'wb').write(bytes(3 * 2**20))")
    sent = run(tenant, "y = 2")
    assert not [name for name in sent.done["commit"]["put"] if name.startswith("files/")]
    assert not sent.chunks or max(sent.chunks.values()) < 2**16


def test_a_module_beside_the_notebook_is_imported_after_a_move(tenant: Tenant) -> None:
    run(tenant, "open('beside.py', 'w').write('value = 7\\ndef double(x): return 2 * x\\n')")
    run(tenant, "import beside; f = beside.double")
    tenant.move()
    assert run(tenant, "print(beside.value, f(4))").text == "7 8\n"


def test_frames_databases_and_maps_on_disk(tenant: Tenant) -> None:
    run(tenant, "import numpy as np, pandas as pd, sqlite3")
    run(tenant, "pd.DataFrame({'a': range(3)}).to_csv('t.csv', index=False)")
    run(tenant, "def change(sql):\n    with sqlite3.connect('t.db') as db: db.execute(sql)\n    db.close()")
    run(tenant, "change('create table t (x)')")
    run(tenant, "m = np.memmap('m.bin', dtype='i4', mode='w+', shape=300_000); m[:] = 1")
    for value in (2, 3):
        run(tenant, f"m[7] = {value}")
    run(tenant, "change('insert into t values (5)')")
    tenant.move()
    run(tenant, "rows = sqlite3.connect('t.db').execute('select x from t').fetchall()")
    check = "print(pd.read_csv('t.csv').a.sum(), rows, np.memmap('m.bin', dtype='i4', mode='r')[6:9])"
    assert run(tenant, check).text == "3 [(5,)] [1 3 1]\n"


def test_what_a_cell_printed_to_an_open_file_is_kept(tenant: Tenant) -> None:
    run(tenant, "log = open('log', 'w'); log.write('one')")
    tenant.move()
    assert run(tenant, "print(repr(open('log').read()))").text == "'one'\n"


def test_a_failed_cell_keeps_its_files(tenant: Tenant) -> None:
    tenant.run("open('a', 'w').write('x'); 1 / 0")
    tenant.move()
    assert run(tenant, "print(open('a').read())").text == "x\n"


def test_a_commit_that_failed_is_made_good_by_the_next(tenant: Tenant) -> None:
    run(tenant, "x = 0")
    tenant.run("open('a', 'w').write('x' * 100)", commit=False)
    run(tenant, "x = 1")
    tenant.move()
    assert run(tenant, "print(x, len(open('a').read()))").text == "1 100\n"


def test_what_is_not_kept_is_named_once_and_stays_pinned(tenant: Tenant) -> None:
    first = run(tenant, "import os; os.mkfifo('pipe')").done
    assert first["notices"] == [
        "Serverless Python: 'pipe' (pipe) cannot be saved with the session: it is no regular file. It works "
        "until the session moves to another process."
    ]
    second = run(tenant, "x = 1").done
    assert second["notices"] == []
    assert [pin["name"] for pin in second["pinned"]] == ["pipe"]
    assert run(tenant, "os.unlink('pipe')").done["pinned"] == []


def test_a_limit_on_files_does_not_keep_variables_from_being_saved(tenant: Tenant) -> None:
    run(tenant, "open('big', 'wb').write(b'small')")
    answer = run(tenant, "x = 5; open('big', 'wb').write(bytes(2**24 + 1)) and None").done
    assert "'big' (file)" in answer["notices"][0]
    assert "what was last saved of it stays saved" in answer["notices"][0]
    tenant.move()
    assert run(tenant, "print(x, open('big', 'rb').read())").text == "5 b'small'\n"


def test_a_lost_chunk_costs_one_file(tenant: Tenant) -> None:
    run(tenant, "x = 1; open('a', 'wb').write(b'a' * 70_000); open('b', 'wb').write(b'b' * 70_000)")
    [victim] = [name for name, data in tenant.chunks.items() if data == b"a" * 70_000]
    del tenant.chunks[victim]
    tenant.move()
    assert run(tenant, "import os; print(x, os.listdir())").text == "1 ['b']\n"
    assert [pin["name"] for pin in tenant.lost] == ["a"]
    assert "missing" in tenant.lost[0]["reason"]


def test_what_a_cell_deletes_after_a_move_stays_deleted(tenant: Tenant) -> None:
    run(tenant, "import os; x = 1; open('a', 'w').write('x')")
    tenant.move()
    assert run(tenant, "os.unlink('a'); print(os.listdir())").text == "[]\n"
    tenant.move()
    assert run(tenant, "print(x, os.listdir())").text == "1 []\n"
    assert tenant.lost == []


@pytest.mark.parametrize("way", ["damaged", "missing"])
def test_a_file_that_the_store_has_lost_is_told_and_can_be_written_again(tenant: Tenant, way: str) -> None:
    run(tenant, "x = [1]; open('bad', 'w').write('b' * 3_000_000); open('good', 'w').write('g') and None")
    tenant.move()
    (name,) = {name for name, data in tenant.chunks.items() if len(data) == 2**20}
    if way == "missing":
        del tenant.chunks[name]
    else:
        tenant.chunks[name] = b"!" + tenant.chunks[name][1:]
    told = run(tenant, "import os; print(x, os.listdir())")
    assert told.text == "[1] ['good']\n"
    assert "'bad' (file)" in told.done["notices"][0]
    run(tenant, "open('bad', 'w').write('b' * 3_000_000) and None")
    tenant.move()
    assert run(tenant, "print(os.path.getsize('bad'), open('good').read())").text == "3000000 g\n"
    assert tenant.lost == []


def test_a_state_that_has_lost_its_manifest_is_no_fresh_one(tenant: Tenant) -> None:
    run(tenant, "x = 1; open('a', 'w').write('x') and None")
    tenant.move()
    del tenant.entries["manifest"]
    assert tenant.refusal() == "the state has no manifest"
