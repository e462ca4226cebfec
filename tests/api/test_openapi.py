"""The OpenAPI document, and the running broker held against it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from fixtures.broker import Broker
from fixtures.hostile import examples

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_every_route_is_documented_with_its_problems(broker: Broker) -> None:
    document = broker.http.get("/openapi.json").json()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["summary"], (path, method)
            if path.startswith("/v1/sessions/"):
                assert "404" in operation["responses"], (path, method)
                assert "application/problem+json" in operation["responses"]["404"]["content"]


def test_schemathesis_finds_no_server_error_and_no_violation(
    make_broker: Callable[..., Broker], tmp_path: Path
) -> None:
    broker = make_broker(token="secret", spares=2, files="state", files_dir=tmp_path / "folders")
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{broker.url}/openapi.json"]
    command += [
        "-H",
        "Authorization: Bearer secret",
        "--checks",
        CHECKS,
        "--phases",
        "examples,fuzzing,stateful",
    ]
    command += ["--max-examples", str(examples(25)), "--request-timeout", "20", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + broker.log.read_text()[-2000:]
