"""`recompute`: what a move loses is made again by running its cells again, or says why it is not."""

from pathlib import Path

import pytest

from fixtures.state_lab import Bench, Sitting
from kernel_broker.wire.records import variables


@pytest.fixture
def sitting(bench: Bench, tmp_path: Path) -> Sitting:
    """A session that has it on from the start."""
    made = Sitting(bench, tmp_path)
    made.birth = {"recompute": True}
    return made


def again(name: str, *cells: int) -> str:
    told = f"cell [{cells[0]}]" if len(cells) == 1 else f"cells {', '.join(f'[{cell}]' for cell in cells)}"
    return f"Serverless Python: '{name}' was made again by re-running {told}."


MADE = {
    "a connection": (
        ["import sqlite3\ncon = sqlite3.connect(':memory:')\n_c = con.execute('create table t (v)'); del _c",
         "for v in (1, 2): con.execute('insert into t values (?)', (v,))"],
        "print(con.execute('select sum(v) from t').fetchone())", "(3,)\n", "con", (1, 2),
    ),
    "a pair of sockets": (
        ["import socket\na, b = socket.socketpair()"],
        "a.send(b'x'); print(b.recv(1))", "b'x'\n", "a", (1,),
    ),
    "a lock that is held": (
        ["import threading\nlock = threading.Lock(); lock.acquire();"],
        "print(lock.locked())", "True\n", "lock", (1,),
    ),
    "a function for C": (
        ["import ctypes\nk = 3\nf = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 5 + k)"],
        "print(f())", "8\n", "f", (1,),
    ),
    "a hash that was fed": (
        ["import hashlib\nh = hashlib.md5(b'a')", "h.update(b'b')"],
        "print(h.digest() == hashlib.md5(b'ab').digest())", "True\n", "h", (1, 2),
    ),
    "a generator half way": (
        ["g = (n * n for n in range(9))", "first = [next(g), next(g)]"],
        "print(next(g), first)", "4 [0, 1]\n", "g", (1, 2),
    ),
    "what a function makes": (
        ["import sqlite3\ndef connect(): return sqlite3.connect(path)", "path = ':memory:'",
         "con = connect()"],
        "print(con.execute('select 1').fetchone())", "(1,)\n", "con", (3,),
    ),
    "what a function uses": (
        ["import socket\ns = socket.socket()", "n = [1]\ndef use(): return s.fileno() > 0"],
        "print(use())", "True\n", "s", (1, 2),
    ),
    "an instance of a class of its cell": (
        ["class A:\n    def __reduce__(s): raise ValueError\na = A()"],
        "print(type(a) is A)", "True\n", "a", (1,),
    ),
    "beside a function without a name": (
        ["import socket\nkey = lambda it: it\ns = socket.socket(); print('made')"],
        "print(s.fileno() > 0)", "True\n", "s", (1,),
    ),
    "in a loop that is left": (
        ["from __future__ import annotations\nimport socket\nfor n in range(3):\n"
         "    if not n: continue\n    s = socket.socket()\n    while n: break\n    break"],
        "print(s.fileno() > 0, n)", "True 1\n", "s", (1,),
    ),
    "in an environment of its own": (
        ["import os, socket\nos.environ['WHERE'] = 'here'", "s = socket.socket()"],
        "print(s.fileno() > 0)", "True\n", "s", (2,),
    ),
    "one whose first name is gone": (
        ["import socket\ns = socket.socket(); kept = s", "s = None"],
        "print(kept.fileno() > 0, s)", "True None\n", "kept", (1,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("title", MADE)
def test_a_lost_variable_is_made_again_when_it_is_used(sitting: Sitting, title: str) -> None:
    cells, use, shown, name, story = MADE[title]
    for cell in cells:
        assert sitting.run(cell).error is None
    sitting.move()
    assert not sitting.run("7").done["notices"]
    answer = sitting.run(use)
    assert answer.text == shown
    assert answer.done["notices"][0] == answer.done["shown"][0] == again(name, *story)
    assert not [notice for notice in answer.done["notices"] if "cannot be saved" in notice]
    assert name in {pin["name"] for pin in answer.done["pinned"]}
    assert not sitting.run("7").done["notices"]


def test_each_move_goes_on_where_the_last_one_ended(sitting: Sitting) -> None:
    sitting.run("g = iter([n for n in range(9)].__iter__, None); g = (n for n in range(9))")
    for expected in range(4):
        sitting.move()
        answer = sitting.run("print(next(g))")
        assert answer.text == f"{expected}\n"
        assert answer.done["notices"] == [again("g", *range(1, expected + 2))]
        assert answer.done["pinned"][0]["cell"] == 1


def test_a_long_story_is_told_in_short(sitting: Sitting) -> None:
    sitting.run("g = (n for n in range(99))")
    for _ in range(8):
        sitting.run("next(g);")
    sitting.move()
    answer = sitting.run("print(next(g))")
    assert answer.text == "8\n"
    assert answer.done["notices"][0].endswith("cells [1], [2], [3], [4], [5], [6], …, [9].")


def test_what_a_cell_used_together_stays_together(sitting: Sitting) -> None:
    sitting.run("g = (n for n in range(9))")
    sitting.run("h = (n for n in 'abc')")
    sitting.run("pair = next(g), next(h)")
    sitting.move()
    answer = sitting.run("print(next(g))")
    assert answer.text == "1\n"
    assert {pin["name"] for pin in answer.done["pinned"]} == {"g", "h"}
    assert sitting.run("print(next(h))").text == "b\n"
    sitting.move()
    assert sitting.run("print(next(h), next(g), pair)").text == "c 2 (0, 'a')\n"


def test_what_hangs_together_is_made_together_and_in_order(sitting: Sitting) -> None:
    sitting.run("import sqlite3\ncon = sqlite3.connect(':memory:')")
    sitting.run("con.executescript('create table t (v); insert into t values (5)');")
    sitting.run(
        "class Box: pass\nbox = Box()\n"
        "cur = con.cursor(); alias = cur; held = [con, {'cur': cur}]; box.con = con"
    )
    sitting.run("_r = cur.execute('select v from t'); del _r")
    sitting.move()
    answer = sitting.run("print(cur.fetchall())")
    assert answer.text == "[(5,)]\n"
    assert [notice.split("'")[1] for notice in answer.done["notices"]] == ["con", "cur", "alias"]
    same = "print(cur.connection is con is held[0] is box.con, alias is cur is held[1]['cur'])"
    assert sitting.run(same).text == "True True\n"
    sitting.move()
    assert sitting.run("print(held[0].total_changes)").text == "1\n"


REFUSED = {
    "an input changed": (
        ["n = 1", "import socket\ns = [socket.socket() for _ in range(n)][0]", "n = 2"],
        "its inputs have changed since cell [2]: 'n'",
    ),
    "an input was changed in place": (
        ["data = [1, 2]", "s = (n for n in data)", "data.append(3)"],
        "its inputs have changed since cell [2]: 'data'",
    ),
    "a function that makes it changed": (
        ["import socket\ndef make(): return socket.socket()", "s = make()", "def make(): return 3"],
        "its inputs have changed since cell [2]: 'make', a function or class",
    ),
    "its class changed": (
        ["class A:\n    n = 0\n    def __reduce__(s): raise ValueError\ns = A()", "A.n = 1"],
        "its inputs have changed since cell [1]: 'A'",
    ),
    "its cell changed its own input": (
        ["log = []", "import socket\nlog.append(1); s = socket.socket()"],
        "its inputs have changed since cell [2]: 'log'",
    ),
    "the environment changed": (
        ["import os, socket", "s = socket.socket()", "os.environ['WHERE'] = 'elsewhere'"],
        "its inputs have changed since cell [2]: environ",
    ),
    "the environment changed again": (
        ["import os, socket\nos.environ['WHERE'] = 'here'", "s = socket.socket()",
         "os.environ['WHERE'] = 'elsewhere'"],
        "its inputs have changed since cell [2]: environ",
    ),
    "what it once read was different later": (
        ["scale = [1]\ndef totals():\n    total = 0\n    while True: total += scale[0]; yield total",
         "s = totals()", "scale[0] = 5", "next(s);", "scale[0] = 1"],
        "its inputs have changed since cell [4]: 'scale'",
    ),
    "it changes another variable": (
        ["log = []", "import socket\nlog.append(1); s = socket.socket()", "log.clear()"],
        "running cell [2] again changes 'log'",
    ),
    "it was put into what there was": (
        ["held = []", "import socket\ns = socket.socket()", "held.append(s)"],
        "its inputs have changed since cell [3]: 'held'",
    ),
    "it draws random numbers": (
        ["import random, socket", "s = [socket.socket() for _ in range(random.randint(1, 3))][0]"],
        "running cell [2] again changes random",
    ),
    "it would come out otherwise": (
        ["import socket, time\nat = time.time()\ns = socket.socket()"],
        "running its cells again makes another 'at'",
    ),
    "it shares what a variable has": (
        ["data = [1, 2]\ns = (n for n in data)"],
        "it shares objects with 'data', which its cells would make anew",
    ),
    "its cell fails now": (
        ["import os, socket\nopen('there', 'w').close()", "s = [socket.socket() for _ in os.scandir('.')][0]",
         "os.remove('there')"],
        "running its cells again raised IndexError: list index out of range",
    ),
    "it would not be made": (
        ["import os, socket\nopen('there', 'w').close()", "if os.path.exists('there'): s = socket.socket()",
         "os.remove('there')"],
        "running its cells again does not make 's'",
    ),
    "something else would be made": (
        ["import os, socket\nopen('there', 'w').close()",
         "s = socket.socket() if os.path.exists('there') else 5", "os.remove('there')"],
        "running its cells again makes 's' a int",
    ),
    "its cell failed then": (["import socket\ns = socket.socket(); 1 / 0"], "cell [1] failed"),
    "a cell that used it failed": (
        ["import socket\ns = socket.socket()", "s.recv(1)"], "cell [2] failed",
    ),
    "magics": (["import socket", "%time s = socket.socket()"], "cell [2] uses magics or the shell"),
    "code in a text": (
        ["import socket", "exec('s = socket.socket()')"],
        "cell [2] may reach more than its text tells",
    ),
    "code in a text, later": (
        ["import socket\ns = socket.socket()", "exec('s.setblocking(False)')"],
        "cell [2] may reach more than its text tells",
    ),
    "an answer awaited": (
        ["import asyncio, socket\nawait asyncio.sleep(0)\ns = socket.socket()"],
        "cell [1] awaits",
    ),
    "a hook that comes to it": (
        ["def hook(*_):\n    try: s.fileno()\n    except NameError: pass\n"
         "get_ipython().events.register('post_run_cell', hook)", "import socket\ns = socket.socket()"],
        "cell [2] ran beside code that may reach it unasked",
    ),
    "a file is written": (
        ["import socket\nwith open('out', 'a'): s = socket.socket()"], "cell [1] writes to a file",
    ),
    "a database is written": (
        ["import sqlite3\ns = sqlite3.connect('out.db')\ns.execute('create table if not exists t (v)');",
         "s.execute('insert into t values (1)'); s.commit()"],
        "running its cells again raised OperationalError: disk I/O error",
    ),
    "a file is removed": (
        ["import os, socket\nopen('out', 'w').close()", "os.remove('out'); s = socket.socket()",
         "open('out', 'w').close()"],
        "cell [2] changes files",
    ),
    "a process is started": (
        ["import os, socket\nos.system('true'); s = socket.socket()"], "cell [1] starts a process",
    ),
    "a process is started, in secret": (
        ["import os, socket\ntry: os.system('true')\nexcept Exception: pass\ns = socket.socket()"],
        "cell [1] starts a process",
    ),
    "a thread is started": (
        ["import threading, socket", "threading.Thread(target=int).start(); s = socket.socket()"],
        "cell [2] starts a thread",
    ),
    "the network is used": (
        ["import socket\ns = socket.socket(type=socket.SOCK_DGRAM); s.bind(('127.0.0.1', 0))"],
        "cell [1] uses the network",
    ),
    "a signal is sent": (
        ["import os, socket", "os.kill(os.getpid(), 0); s = socket.socket()"], "cell [2] sends signals",
    ),
    "the process is ended": (
        ["import os, socket\nopen('there', 'w').close()",
         "s = socket.socket()\nif not os.path.exists('there'): os._exit(3)", "os.remove('there')"],
        "its cells end their process",
    ),
    "a thread": (
        ["import threading\ndone = threading.Event()",
         "s = threading.Thread(target=done.wait, daemon=True); s.start()"],
        "cell [2] did not run alone",
    ),
    "a process": (
        ["import subprocess\ns = subprocess.Popen(['true'])"], "cell [1] started what works on by itself",
    ),
    "a task": (
        ["import asyncio\ns = asyncio.ensure_future(asyncio.sleep(99))"], "cell [1] did not run alone",
    ),
}  # fmt: skip


@pytest.mark.parametrize("title", REFUSED)
def test_what_cannot_be_made_as_it_was_stays_lost_and_says_why(sitting: Sitting, title: str) -> None:
    cells, why = REFUSED[title]
    for cell in cells:
        sitting.run(cell)
    before = seen(sitting) | {"s": "lost"}
    sitting.move()
    answer = sitting.run("s.mark")
    assert answer.error is not None and answer.error.startswith("StateLost: '")
    assert answer.error.endswith(f" (not made again: {why})")
    assert not answer.done["notices"] and not answer.done["pinned"]
    assert seen(sitting) == before


def seen(sitting: Sitting) -> dict[str, str]:
    return {it["name"]: it["preview"] for it in variables(sitting.entries) if it["name"][:2] != "__"}


def test_it_is_off_unless_the_session_or_its_broker_says_otherwise(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run("import socket\ns = socket.socket()")
    sitting.move()
    lost = (
        "StateLost: 's': socket.socket made in cell [1] lives only in the process that made it; re-run cell 1"
    )
    assert sitting.run("s.fileno()").error == lost
    assert sitting.run("%recompute").text == "recompute is off\n"
    assert sitting.run("%recompute on").text == ""
    assert sitting.run("s.fileno()").error == f"{lost} (not made again: its cells were not written down)"
    sitting.run("s = socket.socket()")
    sitting.move()
    assert sitting.run("%recompute").text == "recompute is on, for 10 s at most\ns: cells [6]\n"
    assert sitting.run("s.fileno() > 0").done["notices"] == [again("s", 6)]
    sitting.run("%recompute off")
    sitting.move()
    assert (sitting.run("s.fileno()").error or "").endswith("re-run cell 6")
    assert sitting.run("%recompute no").text.startswith("usage: %recompute on [SECONDS]")
    sitting.birth = {"recompute": True}
    sitting.move()
    assert sitting.run("%recompute").text == "recompute is off\n"  # the session's own word counts


def test_cells_that_take_too_long_are_stopped(sitting: Sitting) -> None:
    sitting.run("%recompute on 0.3")
    sitting.run("import os, socket, time")
    sitting.run("s = socket.socket()\nwhile os.path.exists('wait'): pass")
    sitting.run("open('wait', 'w').close()")
    sitting.move()
    error = sitting.run("s.fileno()").error or ""
    assert error.endswith(" (not made again: its cells take longer than 0.3 s)")
    sitting.run("os.remove('wait')")
    assert (sitting.run("s.fileno()").error or "") == error  # not tried again in the same process
    sitting.run("%recompute on 5")
    assert sitting.run("print(s.fileno() > 0)").text == "True\n"


def test_an_input_that_is_set_back_is_as_it_was(sitting: Sitting) -> None:
    sitting.run("n = 1; more = [1]")
    sitting.run("import socket\ns = [socket.socket() for _ in range(n + len(more))][1]")
    sitting.run("n = 2; more.append(2)")
    sitting.move()
    assert (sitting.run("s").text).startswith("<<lost: 's'")
    sitting.run("n = 1; more.pop();")
    assert sitting.run("print(s.fileno() > 0)").text == "True\n"


def test_a_name_that_came_later_is_away_when_the_cell_is_run_again(sitting: Sitting) -> None:
    sitting.run("import socket\ntry: size = given\nexcept NameError: size = 1")
    sitting.run("try: given\nexcept NameError: s = socket.socket()")
    sitting.run("given = 7")
    sitting.move()
    assert sitting.run("print(s.fileno() > 0, given)").text == "True 7\n"


def test_a_state_gone_back_to_has_the_stories_of_its_time(sitting: Sitting) -> None:
    sitting.run("g = (n for n in range(9))")
    sitting.run("first = next(g)")
    then, chunks = dict(sitting.entries), dict(sitting.chunks)
    sitting.run("second = next(g), next(g)")
    sitting.move()
    assert sitting.run("print(next(g))").text == "3\n"
    sitting.move()
    sitting.entries, sitting.chunks = then, chunks
    assert sitting.run("print(next(g))").text == "1\n"


def test_a_rehearsal_does_not_touch_what_the_session_has_open(sitting: Sitting) -> None:
    open_it = "import os, socket; os.dup2(os.open('lines', os.O_RDONLY), 77);"
    sitting.run("with open('lines', 'w') as f: f.write('one two')\ndel f")
    sitting.run(open_it)
    sitting.run("os.read(77, 3); s = socket.socket()")
    sitting.move()
    sitting.run(open_it)
    why = "(not made again: running its cells again raised OSError: [Errno 9] Bad file descriptor)"
    assert (sitting.run("s.fileno()").error or "").endswith(why)
    assert sitting.run("print(os.read(77, 3))").text == "b'one'\n"


def test_a_message_of_the_front_end_may_reach_it(sitting: Sitting) -> None:
    sitting.run("import comm, socket\ns = socket.socket(); kept = [s]")
    sitting.run("c = comm.create_comm(target_name='t', comm_id='c1')\nc.on_msg(lambda _: kept[0].fileno())")
    sitting.request("comm_msg", {"comm_id": "c1", "data": {}})
    sitting.move()
    why = "(not made again: cell [2] ran beside code that may reach it unasked)"
    assert (sitting.run("s.fileno()").error or "").endswith(why)


def test_of_what_cannot_be_told_no_source_is_kept(sitting: Sitting) -> None:
    sitting.run("import socket; s = socket.socket(); note = 'a word'")
    assert b"a word" in sitting.entries["env/recompute"]
    sitting.run("exec('s')")
    assert b"a word" not in sitting.entries["env/recompute"]
    sitting.run("del s")
    assert "env/recompute" not in sitting.entries


def test_nothing_is_left_of_a_rehearsal(sitting: Sitting) -> None:
    sitting.run("import os, socket, subprocess\ns = socket.socket()")
    sitting.run("bad = socket.socket(); os.environ.get('x'); open('out', 'w').close()")
    sitting.move()
    count = "print(len(os.listdir('/proc/self/fd')), open(f'/proc/self/task/{os.getpid()}/children').read())"
    before = sitting.run(count).text
    assert sitting.run("s.close()").done["notices"] == [again("s", 1)]
    os_error = sitting.run("bad.close()").error or ""
    assert os_error.endswith("cell [2] writes to a file)")
    assert sitting.run(count).text == before


def test_an_interrupt_leaves_all_as_it_was(sitting: Sitting) -> None:
    sitting.run("import ctypes, os, socket, time")
    sitting.run(
        "s = socket.socket(); n = [1]\n"
        "if os.path.exists('now'): ctypes.CDLL(None).kill(os.getppid(), 2); n.append(2); time.sleep(60)"
    )
    sitting.run("open('now', 'w').close(); order = list(dir())")
    sitting.move()
    assert (sitting.run("s.fileno()").error or "").endswith("(not made again: it was interrupted)")
    assert sitting.run("print(n, [name for name in dir() if name in order] == order)").text == "[1] True\n"
    sitting.run("os.remove('now')")
    assert sitting.run("print(s.fileno() > 0)").text == "True\n"


def test_a_cell_for_after_a_move_goes_first(sitting: Sitting) -> None:
    sitting.run("import socket\ns = socket.socket(); t = socket.socket()")
    sitting.run("%%on_resume\ns = 'mine'")
    sitting.run("s = t")
    sitting.run("other = t.fileno()")
    sitting.move()
    answer = sitting.run("print(s)")
    assert answer.text == "mine\n" and not answer.done["notices"]
    assert (sitting.run("t.fileno()").error or "").endswith("cell [2] uses magics or the shell)")
