"""Clients that ask for nothing, too slowly, or for too much: they are ended, and nobody waits for them."""

import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest

from fixtures.broker import Broker

CELL = b"POST /v1/sessions/%s/execute HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def impatient() -> Iterator[Broker]:
    broker = Broker(preload="", spares=1, header_time=0.5, body_time=0.5)
    try:
        yield broker.start()
    finally:
        broker.destroy()


@contextlib.contextmanager
def connect(broker: Broker) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", broker.port), timeout=30) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    """Everything until the broker closes; a broker that does not close fails the test by its timeout."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return received


HALVES = {
    "nothing": b"",
    "half a line": b"GET /liv",
    "half of the headers": b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-More: ",
}


@pytest.mark.parametrize("sent", HALVES.values(), ids=HALVES)
def test_a_request_that_never_comes_is_not_waited_for(impatient: Broker, sent: bytes) -> None:
    with connect(impatient) as connection:
        connection.sendall(sent)
        assert impatient.text(impatient.create(), "1") == "1"
        assert read_all(connection) == b""


def test_one_that_dribbles_in_gets_no_more_time(impatient: Broker) -> None:
    with connect(impatient) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")
        connection.settimeout(0.05)
        for _ in range(600):  # each byte is well within the time; the whole of them is not
            try:
                connection.sendall(b"x")
                if connection.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                break
        else:
            pytest.fail("the broker still listens")


def test_the_second_request_of_a_connection_is_timed_too(impatient: Broker) -> None:
    with connect(impatient) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in connection.recv(65536)
        connection.sendall(b"GET /livez HTTP/1.1\r\n")
        assert b"200 OK" not in read_all(connection)


def test_many_that_say_nothing_stop_nobody(impatient: Broker) -> None:
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connect(impatient)) for _ in range(100)]
        assert impatient.text(impatient.create(), "1") == "1"
        assert [read_all(connection) for connection in silent] == [b""] * 100


@pytest.mark.parametrize(
    "head",
    [CELL % b"any" + b"Content-Length: 100\r\n\r\n{", b"PUT /v1/sessions/any/files/f HTTP/1.1\r\n"
     b"Host: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"],
    ids=["a cell", "a file"],
)  # fmt: skip
def test_a_body_that_never_comes_is_answered_with_408(
    make_broker: Callable[..., Broker], impatient: Broker, head: bytes
) -> None:
    if head.startswith(b"PUT"):
        impatient.create(session_id="any", files="state")
    with connect(impatient) as connection:
        connection.sendall(head)
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"request_timeout"' in answer
    assert b"KERNEL_BROKER_BODY_TIME" in answer


def test_a_cell_may_run_longer_than_its_request_may_take(impatient: Broker) -> None:
    assert impatient.text(impatient.create(), "import time; time.sleep(0.8); 'done'") == "'done'"


@pytest.mark.parametrize("sent", [b"X-Large: " + b"x" * 100_000, b"X-Many: y\r\n" * 10_000])
def test_headers_without_end_are_refused(impatient: Broker, sent: bytes) -> None:
    with connect(impatient) as connection:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + sent)
        assert b"200 OK" not in read_all(connection)


def test_a_connection_is_used_again_after_a_refusal_that_read_no_body(
    make_broker: Callable[..., Broker],
) -> None:
    broker = make_broker(token="t-o-k-e-n")
    with connect(broker) as connection:
        body = b"x" * 100_000
        connection.sendall(CELL % b"any" + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"HTTP/1.1 200 OK" in answer
