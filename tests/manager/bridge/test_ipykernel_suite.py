"""ipykernel's own protocol tests, run on our kernel: message spec, kernel, async, debugger."""

import os
import re
import sys
from pathlib import Path

import pytest

from fixtures.broker import Broker
from fixtures.ipykernel_sdist import fetch, run

pytestmark = pytest.mark.conformance


@pytest.mark.timeout(600)
def test_ipykernels_own_tests_pass(
    shared_broker: Broker, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    cache = pytestconfig.cache
    source = fetch(tmp_path if cache is None else cache.mkdir("ipykernel-sdist"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = run(source, {**os.environ, "PATH": path, "SERVERLESS_KERNEL_URL": shared_broker.url})
    assert done.returncode == 0, done.stdout[-8000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) >= 60, done.stdout[-1000:]
