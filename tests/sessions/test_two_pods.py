"""Two pods on one store: what one does to a session, the other hears of."""

from collections.abc import Callable

import psutil

from fixtures.broker import Broker
from fixtures.redis_server import RedisServer


def test_a_session_deleted_at_another_pod_is_let_go_and_the_rest_goes_on(
    redis_server: RedisServer, make_broker: Callable[..., Broker]
) -> None:
    here, there = (make_broker(redis_server.url, lease_ttl=0.3) for _ in range(2))
    deleted, kept = here.create(), here.create()
    worker = psutil.Process(int(here.text(deleted, "import os; os.getpid()")))
    here.text(kept, "x = 1")
    assert there.http.delete(f"/v1/sessions/{deleted}").status_code == 204
    worker.wait(30)
    assert here.text(kept, "x") == "1"
    assert here.execute(deleted, "1").json()["code"] == "session_not_found"
