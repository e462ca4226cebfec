"""Two tenants on one broker, which runs as a user without privileges; one of them attacks."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from attacks import account
from attacks.table import Attack
from fixtures.broker import Broker

TOKEN = "token-of-the-broker"

_VICTIM = """
import os, socket, tempfile
from multiprocessing.shared_memory import SharedMemory
secret = "the victim's own"
private = bytearray(b"in memory only")
open("secret.txt", "w").write(secret)
temporary = tempfile.mkdtemp()
block = SharedMemory(name="victims-{port}", create=True, size=64)
abstract = socket.socket(socket.AF_UNIX); abstract.bind("\\0victims-{port}"); abstract.listen()
named = socket.socket(socket.AF_UNIX); named.bind(temporary + "/sock"); named.listen()
import ctypes
where = ctypes.addressof((ctypes.c_char * len(private)).from_buffer(private))
print(os.getpid(), os.getcwd(), temporary, where)
"""

_ATTACKER = """
import ctypes, errno, mmap, os, platform, resource, signal, socket, struct, subprocess, sys, threading
from pathlib import Path
libc = ctypes.CDLL(None, use_errno=True)
column = ["x86_64", "aarch64"].index(platform.machine())
def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def call(numbers, *arguments):
    return check(libc.syscall(ctypes.c_long(numbers[column]), *arguments))
"""


class Unprivileged(Broker):
    """A broker whose account can do nothing of its own."""

    launcher = account.launcher()

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"HOME": str(self.home)}

    def start(self, wait: bool = True) -> Broker:
        if account.is_own():
            shutil.chown(self.home, account.NUMBER, account.NUMBER)
        self.python = account.make_python(self.home / "python")
        return super().start(wait)


class Neighbours:
    """The broker, the victim, and what the attacker has found out about both."""

    def __init__(self, *, ports: bool = False, **settings: object) -> None:
        """With `ports`, sessions may connect to that of the listener, which else stands for the store."""
        self.listener = socket.create_server(("127.0.0.1", 0))
        wanted = {"preload": "", "spares": 1, "files": "state", "output": 2**20} | settings
        if ports:
            wanted["network"] = self.listener.getsockname()[1]
        self.broker = Unprivileged(**wanted)
        self.known: dict[str, int | str] = {"port": self.listener.getsockname()[1]}

    def move_in(self) -> None:
        """Start the broker, and the victim's session."""
        self.broker.start()
        folder = self.broker.home / "mounted"
        folder.mkdir(mode=0o755)
        (folder / "token").write_text("of a service account")
        self.victim = self.broker.create()
        said = self.broker.text(self.victim, _VICTIM.replace("{port}", str(self.known["port"]))).split()
        self.pid = int(said[0])
        self.known |= {
            "victim": self.pid,
            "work": said[1],
            "temporary": said[2],
            "address": int(said[3]),
            "zygote": psutil.Process(self.pid).ppid(),
            "broker": self.broker.pid,
            "broker_port": self.broker.port,
            "store": str(self.broker.home / "store.db"),
            "mounted": str(folder / "token"),
        }

    def attacker(self) -> str:
        """A new session that knows all that."""
        session = self.broker.create(env={"TENANT": "attacker"})
        assert self.broker.text(session, _ATTACKER) == ""
        assert self.broker.text(session, f"globals().update({self.known!r})") == ""
        return session

    def outcome(self, session: str, attack: Attack) -> str:
        """The error that an attack ends in, or that it succeeded."""
        result = self.broker.execute(session, attack.code, timeout=20).json()
        if result.get("status") == "ok":
            return "it succeeded"
        error = result.get("error") or result
        return f"{error.get('ename')}: {error.get('evalue')}"

    def check(self) -> None:
        """The victim goes on, in the same process, with what it had; the broker is the same."""
        code = "print(secret, private.decode(), open('secret.txt').read(), os.getpid(), os.getpriority(0, 0))"
        said = self.broker.text(self.victim, code)
        assert said == f"the victim's own in memory only the victim's own {self.pid} 0\n"
        assert psutil.Process(int(self.known["zygote"])).ppid() == self.broker.pid

    def close(self) -> None:
        self.listener.close()
        self.broker.destroy()
        for left in (
            Path(f"/dev/shm/victims-{self.known['port']}"),
            Path(f"/tmp/planted-{self.known['port']}"),
        ):
            left.unlink(missing_ok=True)  # of where there was no sandbox


@contextmanager
def living(*, ports: bool = False, **settings: object) -> Iterator[Neighbours]:
    """Neighbours for a while."""
    made = Neighbours(ports=ports, **settings)
    try:
        made.move_in()
        yield made
    finally:
        made.close()
