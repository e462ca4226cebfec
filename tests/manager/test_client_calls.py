"""Single calls: addresses, tokens, what may be repeated, and the errors that refusals become."""

import asyncio
from pathlib import Path

import pytest
from loopback import Answer, LoopbackBroker, nobody, refuse

from kernel_broker.wire.problems import CODES, Problem
from kernel_manager import ApiError, AsyncClient, BrokerUnreachable, Endpoint, LocalBrokerFailed, NotFound
from kernel_manager.client.errors import to_error


async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def test_over_a_unix_socket_with_a_token(tmp_path: Path) -> None:
    with LoopbackBroker(uds=str(tmp_path / "s")) as broker:
        async with AsyncClient(broker.endpoint) as client:
            assert (await client.create_session(name=None, cwd="/"))["cwd"] == "/"
            assert len(await client.sessions()) == 1
        assert broker.token == "Bearer sesame"
        assert "name" not in broker.requests[0][2]


async def test_ids_are_quoted(broker: LoopbackBroker) -> None:
    async with AsyncClient(broker.endpoint) as client:
        with pytest.raises(ApiError):
            await client.session("../../livez?x=")
    assert broker.requests == [], "the id did not become part of the path"


async def test_create_is_safe_to_repeat(broker: LoopbackBroker) -> None:
    server = await asyncio.start_server(slam, "127.0.0.1", 0)
    slammed = Endpoint(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    endpoints = [slammed, broker.endpoint]

    async def connect() -> Endpoint:
        return endpoints.pop(0)

    async with server, AsyncClient(connect) as client:
        session = await client.create_session()
        assert list(broker.sessions) == [session["session_id"]]


@pytest.mark.parametrize("verb", ["interrupt", "input"])
async def test_what_must_not_happen_twice_is_not_repeated(broker: LoopbackBroker, verb: str) -> None:
    broker.acts.append(Answer(502, b"bad gateway"))
    async with AsyncClient(broker.endpoint) as client:
        call = client.interrupt("s") if verb == "interrupt" else client.input("s", "line")
        with pytest.raises(BrokerUnreachable, match="not known"):
            await call
    assert broker.count("POST", verb) == 1


async def test_refused_while_draining_is_repeated_even_then(broker: LoopbackBroker) -> None:
    broker.acts.append(refuse("draining", retry_after=0))
    async with AsyncClient(broker.endpoint) as client:
        await client.interrupt("s")
    assert broker.count("POST", "interrupt") == 2


async def test_endpoint_is_looked_up_again_after_a_connection_error(broker: LoopbackBroker) -> None:
    found = [nobody(), nobody(), broker.endpoint]
    asked = []

    async def connect() -> Endpoint:
        asked.append(found[0])
        return found.pop(0)

    async with AsyncClient(connect) as client:
        await client.sessions()
        await client.sessions()
    assert len(asked) == 3, "twice in vain, and not again while it works"


async def test_failure_to_start_a_broker_is_told_at_once() -> None:
    async def connect() -> Endpoint:
        raise LocalBrokerFailed("no room")

    async with AsyncClient(connect) as client:
        with pytest.raises(LocalBrokerFailed, match="no room"):
            await client.sessions()


async def test_closed_client_says_so(broker: LoopbackBroker) -> None:
    client = AsyncClient(broker.endpoint)
    await client.aclose()
    await client.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await client.sessions()


async def test_many_streams_at_once(broker: LoopbackBroker) -> None:
    async def run(client: AsyncClient) -> str:
        return [event async for event in client.execute("s", "code")][-1]["event"]

    async with AsyncClient(broker.endpoint) as client, asyncio.TaskGroup() as group:
        runs = [group.create_task(run(client)) for _ in range(150)]
    assert {run.result() for run in runs} == {"end"}


@pytest.mark.parametrize("code", CODES)
def test_every_problem_has_an_error_of_its_kind(code: str) -> None:
    error = to_error(Problem(code, "what happened", 2.0).to_json())
    assert error.code == code
    assert error.status == CODES[code]
    assert error.retry_after == 2.0
    assert str(error) == "what happened"
    assert code == "internal" or type(error) is not ApiError


def test_code_of_a_newer_broker_is_still_an_error() -> None:
    error = to_error({"code": "brand_new", "status": 404, "title": "Brand new"})
    assert (type(error), str(error)) == (NotFound, "Brand new")


def test_endpoint_wants_a_url_and_hides_its_token() -> None:
    with pytest.raises(ValueError, match="http://"):
        Endpoint("broker.example:8080")
    assert "sesame" not in repr(Endpoint("http://broker", token="sesame"))
