"""Every test here leaves no thread and no descriptor behind; real brokers, real kernel managers."""

import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.broker import Broker
from fixtures.kernel import running_kernel


@pytest.fixture(scope="session")
def warmed_up(shared_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What jupyter_client and ZMQ open once per process is open."""
    from fixtures.kernel import PROVISIONED, write_kernelspecs

    folder = tmp_path_factory.mktemp("jupyter")
    write_kernelspecs(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder))
        patch.setenv("SERVERLESS_KERNEL_URL", shared_broker.url)
        with running_kernel(PROVISIONED):
            pass
    shared_broker.http.get("/livez")


@pytest.fixture(autouse=True)
def no_leaks(warmed_up: None) -> Iterator[None]:
    gc.collect()
    threads, descriptors = set(threading.enumerate()), _descriptors()
    yield
    gc.collect()
    left = [thread for thread in threading.enumerate() if thread not in threads and not thread.daemon]
    left += [thread for thread in threading.enumerate() if thread.name == "serverless-kernel-bridge"]
    assert not left, f"threads left behind: {left}"
    assert _descriptors() <= descriptors, "descriptors left behind"


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
