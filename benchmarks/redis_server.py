"""A redis-server of the benchmark's own, as one would run it for durable data: appendonly, everysec."""

import shutil
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

_READY = "eady to accept connections"


def find_redis_server() -> str | None:
    """The program, or None if there is none."""
    return shutil.which("redis-server")


class RedisServer:
    """One server on a free port of the loopback."""

    def __init__(self, program: str, home: Path) -> None:
        home.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{port}/0"
        self._command = [
            program,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(home),
            "--save",
            "",
        ]
        self._command += ["--appendonly", "yes", "--appendfsync", "everysec"]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        if not any(_READY in line for line in self._process.stdout):
            self._process.wait()
            raise RuntimeError(f"redis-server ended with status {self._process.returncode}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.communicate()
