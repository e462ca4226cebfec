"""Large states between worker and store: in bounded memory, at any moment, whatever fails."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from fixtures.broker import Broker
from fixtures.redis_server import RedisServer

MB = 2**20
BIG = "import os; big = os.urandom({0} * 2**20); import hashlib; hashlib.sha1(big).hexdigest()"
DIGEST = "hashlib.sha1(big).hexdigest()"

LAZY = """
from kernel_broker.worker.worker import Worker
import gc
exchange = next(it for it in gc.get_objects() if isinstance(it, Worker))._exchange
put, names, given = exchange.put, [], []
def remember(name, data):
    names.append(name)
    given.append(hash(bytes(data)))
    put(name, data)
exchange.put = remember
"""
"""Notes which chunks go to the store, so that later cells can ask for them as a lazy load would."""


def peak(pid: int) -> int:
    """The most memory a process has had, in bytes, shared memory included."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024


@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_a_value_larger_than_the_broker_s_memory_comes_and_goes(
    make_broker: Callable[..., Broker], redis_server: RedisServer, store: str
) -> None:
    broker = make_broker(redis_server.url if store == "redis" else None, verify_idle=0)
    session_id = broker.create()
    broker.text(session_id, "1")
    before = peak(broker.pid)
    digest = broker.text(session_id, BIG.format(300))
    broker.call(session_id, "evict")
    assert broker.text(session_id, DIGEST) == digest
    assert peak(broker.pid) - before < 160 * MB


def test_no_descriptor_and_no_memory_is_left_behind(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(spares=0)
    session_id = broker.create()

    def move() -> None:
        broker.text(session_id, BIG.format(20))
        broker.call(session_id, "evict")
        broker.text(session_id, "len(big)")
        broker.call(session_id, "evict")

    move()
    process = psutil.Process(broker.pid)
    descriptors = process.num_fds()
    for _ in range(5):
        move()
    assert process.num_fds() <= descriptors
    assert not [m.path for m in process.memory_maps() if "memfd:exchange" in m.path]


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.1, 0.2])
def test_a_worker_that_is_killed_while_it_sends_leaves_the_last_state(broker: Broker, moment: float) -> None:
    session_id = broker.create()
    broker.text(session_id, "x = 'before'; import os, threading, signal; x")
    code = f"threading.Timer({moment}, os.kill, (os.getpid(), signal.SIGKILL)).start()\n"
    code += "x = 'after'; big = os.urandom(200 * 2**20)"
    answer = broker.execute(session_id, code).json()
    lost = answer.get("code") == "worker_lost"
    assert lost or answer["status"] == "ok"
    assert broker.text(session_id, "x") == ("'before'" if lost else "'after'")


def test_a_broker_that_is_killed_while_a_state_comes_leaves_the_last_one(
    make_broker: Callable[..., Broker],
) -> None:
    broker = make_broker()
    session_id = broker.create()
    digest = broker.text(session_id, BIG.format(8))
    end = threading.Timer(0.3, lambda: broker.stop(signal.SIGKILL))
    end.start()
    code = "big = os.urandom(500 * 2**20)"
    with pytest.raises(httpx.TransportError):
        broker.execute(session_id, code)
    end.join()
    broker.start()
    assert broker.text(session_id, DIGEST) == digest


def test_chunks_can_be_asked_for_while_a_cell_runs(broker: Broker) -> None:
    session_id = broker.create()
    broker.text(session_id, LAZY + BIG.format(40))
    broker.text(session_id, "0")
    load = "[hash(bytes(piece)) for piece in exchange.fetch(names)] == given, len(names) >= 40"
    assert broker.text(session_id, load) == "(True, True)"
    some = "it = exchange.fetch(names[:20]); first = hash(bytes(next(it))); del it; first == given[0]"
    assert broker.text(session_id, some) == "True"
    assert broker.text(session_id, load) == "(True, True)"
    both = "one = exchange.fetch(names); next(one); two = exchange.fetch(names); next(two)\n"
    both += "try: list(one)\nexcept RuntimeError as error: print(error)\n"
    both += "len(list(two)) == len(names) - 1"
    assert broker.text(session_id, both) == "chunks were asked for while others were on their way\nTrue"
    missing = "[piece is None for piece in exchange.fetch(['00' * 20, names[0]])]"
    assert broker.text(session_id, missing) == "[True, False]"
    assert broker.text(session_id, "list(exchange.fetch([]))") == "[]"


def test_a_store_that_does_not_answer_is_an_error_where_chunks_are_asked_for(
    make_redis_server: Callable[..., RedisServer], make_broker: Callable[..., Broker]
) -> None:
    redis = make_redis_server()
    broker = make_broker(redis.url, patience=0.3, verify_idle=0)
    session_id = broker.create()
    broker.text(session_id, LAZY + BIG.format(4))
    code = "input()\ntry: next(exchange.fetch(names))\nexcept Exception as error: print(type(error).__name__)"
    request = {"code": code, "allow_stdin": True}
    with broker.http.stream("POST", f"/v1/sessions/{session_id}/execute", json=request) as answer:
        lines = answer.iter_lines()
        next(line for line in lines if '"input_request"' in line)
        redis.stop()
        broker.post_input(session_id, "")
        assert next(line for line in lines if '"stream"' in line).count("StateUnavailable") == 1
    redis.start()


def test_a_store_that_gives_no_chunks_is_told_in_the_cell_that_needs_them(
    make_redis_server: Callable[..., RedisServer], make_broker: Callable[..., Broker]
) -> None:
    redis = make_redis_server()
    broker = make_broker(redis.url, patience=0.3, verify_idle=0)
    session_id = broker.create()
    digest = broker.text(session_id, BIG.format(64))
    broker.call(session_id, "evict")
    with redis.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "-mget")
        answer = broker.execute(session_id, DIGEST).json()
        assert (answer["status"], answer["error"]["ename"]) == ("error", "StateUnavailable")
        client.execute_command("ACL", "SETUSER", "default", "+mget")
    assert broker.text(session_id, DIGEST) == digest


LIES = {
    "a slot that is not its own": '{"slot": 7, "names": ["00"], "sizes": [1]}',
    "more than fits": '{"slot": 0, "names": ["00"], "sizes": [2**23]}',
    "names without sizes": '{"slot": 0, "names": ["00", "01"], "sizes": [1]}',
    "the same slot twice": '{"slot": 0, "names": ["00"], "sizes": [1]}',
}


@pytest.mark.parametrize("lie", LIES)
def test_a_worker_that_lies_is_ended_and_nothing_else(broker: Broker, lie: str) -> None:
    session_id, other = broker.create(), broker.create()
    broker.text(session_id, "x = 1")
    broker.text(other, "y = 2")
    code = (
        LAZY + f"frame = __import__('kernel_broker.wire.frames').wire.frames.Frame('chunks', {LIES[lie]})\n"
    )
    code += "while True: exchange._channel.send(frame)"
    assert broker.execute(session_id, code).json()["code"] == "worker_lost"
    assert broker.text(session_id, "x") == "1"
    assert broker.text(other, "y") == "2"
