"""A JupyterLab as a person starts it, with folders of its own, and the local broker its kernels bring up."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import psutil

from kernel_manager.local import read_status
from kernel_manager.settings import LocalSettings, read_settings

TOKEN = "journey"
_COMMAND = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0"]
_NO_NEWS = '{"fetchNews": "false", "checkForUpdates": false}'
_FOREIGN = ("JUPYTER", "SERVERLESS_KERNEL_", "KERNEL_BROKER_")


class JupyterServer:
    """One `jupyter lab` process; its notebooks are in `notebooks`."""

    def __init__(self) -> None:
        # Not under pytest's folder: the path of a unix socket is short.
        self.home = Path(tempfile.mkdtemp(prefix="lab-"))
        self.notebooks = self.home / "notebooks"
        self.notebooks.mkdir()
        self.url = ""
        self._answers = threading.Event()
        self._lines: list[str] = []

    def start(self) -> "JupyterServer":
        """Start, and return when it answers."""
        self._refuse_news()
        self._process = subprocess.Popen(
            [*_COMMAND, f"--ServerApp.root_dir={self.notebooks}", f"--IdentityProvider.token={TOKEN}"],
            env=self.environment,
            cwd=self.notebooks,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read_log)
        self._reader.start()
        if not self._answers.wait(60) or not self.url:
            raise RuntimeError("JupyterLab does not start:\n" + self.log)
        return self

    @property
    def log(self) -> str:
        """What the server has written so far."""
        return "".join(self._lines)

    @property
    def environment(self) -> dict[str, str]:
        """Everything the server, its kernels and their broker write goes below `home`."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        return clean | {
            "JUPYTER_CONFIG_DIR": str(self.home / "config"),
            "JUPYTER_DATA_DIR": str(self.home / "data"),
            "JUPYTER_RUNTIME_DIR": str(self.home / "runtime"),
            "IPYTHONDIR": str(self.home / "ipython"),
            "MPLCONFIGDIR": str(self.home / "matplotlib"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "SERVERLESS_KERNEL_RUNTIME_DIR": str(self.home / "broker"),
        }

    @property
    def _local(self) -> LocalSettings:
        return read_settings(self.environment).local

    def broker_processes(self) -> list[psutil.Process]:
        """The local broker, its zygote and all workers; none if it does not run."""
        status = read_status(self._local)
        if not status.running:
            return []
        broker = psutil.Process(status.record["pid"])
        return [broker, *broker.children(recursive=True)]

    def kill_broker(self) -> list[int]:
        """End them all at once, as a power cut does; returns their pids."""
        processes = self.broker_processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # a worker ends by itself when its broker is gone
                process.kill()
        psutil.wait_procs(processes, timeout=20)
        return [process.pid for process in processes]

    def stop(self) -> None:
        """End the server, its kernels and the broker, and remove the files."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._reader.join()
            self.kill_broker()
            shutil.rmtree(self.home)

    def _refuse_news(self) -> None:
        settings = self.home / "config/lab/user-settings/@jupyterlab/apputils-extension"
        settings.mkdir(parents=True)
        (settings / "notification.jupyterlab-settings").write_text(_NO_NEWS)

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.append(line)
            if not self.url and (found := re.search(r"(http://127\.0\.0\.1:\d+)/", line)):
                self.url = found[1]
                self._answers.set()
        self._answers.set()
