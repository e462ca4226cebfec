"""What a front end sees of a kernel on the bridge, through the provisioner and through the argv process."""

from queue import Empty
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from fixtures.broker import Broker
from fixtures.kernel import Kernel, running_kernel


def test_a_cell_prints_and_returns(kernel: Kernel) -> None:
    answer = kernel.run("print('to stdout'); import sys; print('to stderr', file=sys.stderr); 6 * 7")
    assert (answer.stream(), answer.stream("stderr"), answer.result) == ("to stdout\n", "to stderr\n", "42")
    assert answer.types[0] == "status"
    assert answer.messages[0]["content"]["execution_state"] == "busy"
    assert answer.messages[-1]["content"]["execution_state"] == "idle"
    assert answer.reply["execution_count"] == 1


def test_cells_behind_an_error_are_aborted(kernel: Kernel) -> None:
    codes = ["1/0", "reached = 1", "reached = 2"]
    ids = [kernel.client.execute(code) for code in codes]
    replies = [kernel.client.get_shell_msg(timeout=60) for _ in ids]
    assert [reply["parent_header"]["msg_id"] for reply in replies] == ids
    assert [reply["content"]["status"] for reply in replies] == ["error", "aborted", "aborted"]
    assert kernel.run("'reached' in globals()").result == "False"


def test_cells_behind_an_error_go_on_when_told(kernel: Kernel) -> None:
    ids = [kernel.client.execute(code, stop_on_error=False) for code in ("1/0", "reached = 1")]
    statuses = [kernel.client.get_shell_msg(timeout=60)["content"]["status"] for _ in ids]
    assert statuses == ["error", "ok"]


@pytest.mark.parametrize(("call", "password"), [("input", False), ("__import__('getpass').getpass", True)])
def test_a_cell_asks_for_a_line(kernel: Kernel, call: str, password: bool) -> None:
    asked: list[dict[str, Any]] = []

    def answer(message: dict[str, Any]) -> None:
        asked.append(message["content"])
        kernel.client.input("a line")

    lines: list[dict[str, Any]] = []
    kernel.client.execute_interactive(
        f"print({call}('which? ')[::-1])", stdin_hook=answer, output_hook=lines.append, timeout=60
    )
    assert asked == [{"prompt": "which? ", "password": password}]
    assert [line["content"]["text"] for line in lines if line["msg_type"] == "stream"] == ["enil a\n"]


def test_a_cell_that_may_not_ask_says_so(kernel: Kernel) -> None:
    answer = kernel.run("input()")
    assert answer.reply["ename"] == "StdinNotImplementedError"


COMM = """
from comm import create_comm, get_comm_manager
heard = []
def opened(comm, message):
    heard.append((message['content']['data'], [bytes(b) for b in message['buffers']]))
    def echo(m):
        comm.send({'twice': m['content']['data']['n'] * 2}, buffers=[bytes(m['buffers'][0])[::-1]])
    comm.on_msg(echo)
get_comm_manager().register_target('echo', opened)
mine = create_comm(target_name='front', data={'hello': 1}, buffers=[b'\\x00\\xff'])
"""


def test_comms_carry_binary_buffers_both_ways(kernel: Kernel) -> None:
    made = next(message for message in kernel.run(COMM).messages if message["msg_type"] == "comm_open")
    assert (made["content"]["data"], [bytes(b) for b in made["buffers"]]) == ({"hello": 1}, [b"\x00\xff"])
    session = kernel.client.session
    send = lambda kind, content, *buffers: session.send(  # noqa: E731
        kernel.client.shell_channel.socket, kind, content, buffers=list(buffers)
    )
    send("comm_open", {"comm_id": "c", "target_name": "echo", "data": {}}, b"\x01")
    for number in range(20):
        send("comm_msg", {"comm_id": "c", "data": {"n": number}}, bytes([number, 7]))
    echoes = []
    while len(echoes) < 20:
        message = kernel.client.get_iopub_msg(timeout=60)
        if message["msg_type"] == "comm_msg":
            echoes.append((message["content"]["data"]["twice"], bytes(message["buffers"][0])))
    assert echoes == [(number * 2, bytes([7, number])) for number in range(20)]
    assert kernel.run("heard").result == "[({}, [b'\\x01'])]"
    comms = kernel.ask("shell", "comm_info_request")["comms"]
    assert {comm["target_name"] for comm in comms.values()} == {"echo", "front"}
    assert kernel.ask("shell", "comm_info_request", {"target_name": "echo"})["comms"].keys() == {"c"}


def test_comm_messages_reach_a_running_cell_in_order(kernel: Kernel) -> None:
    kernel.run("from comm import get_comm_manager\ngot = []\n"
               "get_comm_manager().register_target('t', lambda comm, _: comm.on_msg("
               "lambda m: got.append(m['content']['data']['n'])))")  # fmt: skip
    kernel.client.session.send(
        kernel.client.shell_channel.socket, "comm_open", {"comm_id": "c", "target_name": "t", "data": {}}
    )
    kernel.client.execute(
        "import asyncio\nprint('waits')\nwhile len(got) < 30: await asyncio.sleep(0.01)\nstr(got)"
    )
    wait_for(kernel, "stream")
    for number in range(30):
        content = {"comm_id": "c", "data": {"n": number}}
        kernel.client.session.send(kernel.client.shell_channel.socket, "comm_msg", content)
    result = wait_for(kernel, "execute_result")
    assert result["data"]["text/plain"] == repr(str(list(range(30))))


def wait_for(kernel: Kernel, msg_type: str) -> dict[str, Any]:
    while True:
        message = kernel.client.get_iopub_msg(timeout=60)
        if message["msg_type"] == msg_type:
            return dict(message["content"])


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time; time.sleep(600)",
        "!sleep 600",
        "import asyncio; await asyncio.sleep(600)",
    ],
)
def test_interrupt(kernel: Kernel, code: str) -> None:
    kernel.run("kept = 1")
    cell = kernel.begin(code)
    kernel.manager.interrupt_kernel()
    reply = kernel.reply_to(cell)
    assert reply["status"] == "error" or code.startswith("!")
    assert kernel.run("kept").result == "1"


def test_output_of_a_thread_comes_after_its_cell(kernel: Kernel) -> None:
    cell = kernel.client.execute("import threading; threading.Timer(0.3, print, ['from the thread']).start()")
    kernel.client.get_shell_msg(timeout=60)
    while (message := kernel.client.get_iopub_msg(timeout=60))["msg_type"] != "stream":
        pass
    assert message["content"] == {"name": "stdout", "text": "from the thread\n"}
    assert message["parent_header"]["msg_id"] == cell


def test_an_unreadable_message_harms_nothing(kernel: Kernel) -> None:
    for junk in (
        [b"junk"],
        [b"<IDS|MSG>", b"sig", b"{}", b"{}", b"{}", b"{}"],
        [b"<IDS|MSG>", *[b"\xff"] * 5],
    ):
        kernel.client.shell_channel.socket.send_multipart(junk)
    assert kernel.run("1 + 1").result == "2"


def test_an_unknown_request_is_no_end(kernel: Kernel) -> None:
    message = kernel.client.session.msg("no_such_request", {})
    kernel.client.shell_channel.send(message)
    assert kernel.run("1 + 1").result == "2"


def test_two_kernels_at_once_do_not_meet(remote: Broker) -> None:
    with running_kernel() as one, running_kernel() as two:
        one.run("x = 'one'")
        two.run("x = 'two'")
        assert (one.run("x").result, two.run("x").result) == ("'one'", "'two'")


@pytest.mark.parametrize("name", ["serverless-python", "serverless-argv"])
@pytest.mark.parametrize(
    "options", [{"transport": "ipc"}, {"transport_encryption": "required"}], ids=["ipc", "curve"]
)
def test_transports(remote: Broker, name: str, options: dict[str, Any]) -> None:
    with running_kernel(name, **options) as kernel:
        kernel.run("x = 1")
        info = kernel.manager.get_connection_info()
        kernel.manager.restart_kernel()
        kernel.client.wait_for_ready(timeout=30)
        assert kernel.run("'x' in globals()").result == "False"
        assert kernel.manager.get_connection_info() == info
        assert info["transport"] == options.get("transport", "tcp")
        assert ("curve_publickey" in info) == ("transport_encryption" in options)


def test_a_stranger_without_the_key_gets_no_answer(remote: Broker) -> None:
    with running_kernel() as kernel:
        stranger = BlockingKernelClient()
        stranger.load_connection_info({**kernel.manager.get_connection_info(), "key": b"wrong"})
        stranger.start_channels(hb=False)
        stranger.execute("found = 1")
        with pytest.raises(Empty):
            stranger.get_shell_msg(timeout=0.3)
        stranger.stop_channels()
        assert kernel.run("'found' in globals()").result == "False"
