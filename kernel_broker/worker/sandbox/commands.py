"""`!command` over a pipe: a terminal of its own would be one that every process of the account can open."""

import os
import signal
import subprocess
import sys
from typing import Any

_READ = 65536
_LAST_WORDS = 0.2


def system(command: str) -> int:
    """Run a command and show what it says, as it says it; its exit status, minus the signal that ended it."""
    shell = os.environ.get("SHELL") or "sh"
    with subprocess.Popen(
        [shell, "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        try:
            _show(process.stdout.fileno())
            return process.wait()
        except KeyboardInterrupt:
            _interrupt(process)
            return process.wait()


def _show(descriptor: int) -> None:
    while data := os.read(descriptor, _READ):
        sys.stdout.write(data.decode(errors="replace"))
        sys.stdout.flush()


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_LAST_WORDS)
    except subprocess.TimeoutExpired:
        process.kill()


def use_pipes() -> None:
    """Have the shells of this process run their commands so."""
    from ipykernel import zmqshell
    from IPython.core import interactiveshell

    modules: tuple[Any, ...] = (interactiveshell, zmqshell)
    for module in modules:
        module.system = system
