"""Folders, kernelspecs and brokers of a run: all its own, all gone afterwards."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ipykernel.kernelspec import write_kernel_spec

from benchmarks.processes import family, is_gone
from kernel_manager.install import SpecRequest, install
from kernel_manager.local import read_status, read_tail
from kernel_manager.settings import LocalSettings, read_settings

OURS = "benchmark-serverless-python"
PEER = "benchmark-ipykernel"
"""Names of the kernelspecs."""
_PREFIXES = ("JUPYTER", "SERVERLESS_KERNEL_", "KERNEL_BROKER_", "XDG_", "IPYTHON", "MPL")
_STOP_SECONDS = 40.0


@contextmanager
def private_place() -> Iterator[Path]:
    """A folder in which everything of this run happens, with both kernels installed there."""
    home = Path(tempfile.mkdtemp(prefix="bench-"))  # short: a unix socket's path is
    before = dict(os.environ)
    for name in before:
        if name.startswith(_PREFIXES):
            del os.environ[name]
    os.environ |= {
        "JUPYTER_PATH": str(home / "share/jupyter"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "MPLCONFIGDIR": str(home / "matplotlib"),
    }
    try:
        install(SpecRequest(name=OURS), prefix=str(home))
        write_kernel_spec(home / "share/jupyter/kernels" / PEER)
        yield home
    finally:
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(home)


@dataclass(frozen=True, slots=True)
class LocalBroker:
    """The broker that kernels and sessions opened under `chosen` start on demand, and share."""

    name: str
    """The kind of store it commits to."""
    home: Path
    store_url: str | None = None
    """None: the embedded store."""

    @contextmanager
    def chosen(self) -> Iterator[None]:
        """Whatever reads the manager's settings in here means this broker."""
        mine = {"SERVERLESS_KERNEL_RUNTIME_DIR": str(self.home), "XDG_STATE_HOME": str(self.home / "state")}
        if self.store_url is not None:
            mine["KERNEL_BROKER_STORE_URL"] = self.store_url
        try:
            os.environ |= mine
            yield
        finally:
            for name in mine:
                del os.environ[name]

    @property
    def pid(self) -> int:
        """The broker's process; it must run."""
        return int(read_status(self._settings).record["pid"])

    def stop(self) -> None:
        """End it and wait until its processes are gone; nothing happens if it does not run."""
        status = read_status(self._settings)
        if not status.running:
            return
        members = family(status.record["pid"])
        os.kill(members[0], signal.SIGTERM)
        if not all(is_gone(pid, _STOP_SECONDS) for pid in members):
            os.kill(members[0], signal.SIGKILL)
            raise RuntimeError(
                f"a broker did not end; the end of its log:\n{read_tail(self._settings.log_file)}"
            )

    @property
    def _settings(self) -> LocalSettings:
        with self.chosen():
            return read_settings().local
