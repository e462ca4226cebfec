"""A kernel's life: restart, shutdown, sleep, brokers that die or cannot be reached; it is never dead."""

import asyncio
import os
import platform
from pathlib import Path

import psutil
import pytest
from jupyter_client.manager import AsyncKernelManager

from fixtures.broker import Broker
from fixtures.kernel import ARGV, PROVISIONED, Kernel, LocalBroker, running_kernel


def session(broker: Broker, kernel: Kernel) -> dict[str, object]:
    return dict(broker.http.get(f"/v1/sessions/{kernel.session_id}").json())


async def test_an_async_manager(remote: Broker) -> None:
    manager = AsyncKernelManager(kernel_name=PROVISIONED)
    await manager.start_kernel()
    client = manager.client()
    client.start_channels()
    await client.wait_for_ready(timeout=30)
    reply = await client.execute_interactive("x = 1", timeout=60)
    assert reply["content"]["status"] == "ok"
    assert await manager.is_alive()
    client.stop_channels()
    await manager.shutdown_kernel()
    assert not await manager.is_alive()
    assert remote.http.get(f"/v1/sessions/{manager.kernel_id}").status_code == 404


@pytest.mark.parametrize("now", [False, True], ids=["asked", "now"])
def test_restart_is_a_fresh_namespace_on_the_same_sockets(kernel: Kernel, now: bool) -> None:
    kernel.run("x = 1")
    before = kernel.manager.get_connection_info()
    kernel.manager.restart_kernel(now=now)
    kernel.client.wait_for_ready(timeout=30)
    assert kernel.manager.get_connection_info() == before
    answer = kernel.run("'x' in globals()")
    assert (answer.result, answer.reply["execution_count"]) == ("False", 1)


def test_restart_ends_a_cell_that_runs(kernel: Kernel) -> None:
    kernel.begin("while True: pass")
    kernel.manager.restart_kernel()
    kernel.client.wait_for_ready(timeout=30)
    assert kernel.run("1 + 1").result == "2"


def test_shutdown_forgets_the_session(remote: Broker) -> None:
    with running_kernel() as kernel:
        kernel.run("x = 1")
        assert session(remote, kernel)["revision"] == 1
    assert remote.http.get(f"/v1/sessions/{kernel.session_id}").status_code == 404
    assert not kernel.manager.is_alive()


def test_a_sleeping_session_answers_without_waking(remote: Broker) -> None:
    with running_kernel() as kernel:
        kernel.run("from comm import create_comm; c = create_comm(target_name='t'); x = 1")
        remote.call(kernel.session_id, "evict")
        info = kernel.ask("shell", "kernel_info_request")
        assert info["language_info"]["version"] == platform.python_version()
        assert kernel.ask("control", "kernel_info_request")["status"] == "ok"
        assert [c["target_name"] for c in kernel.ask("shell", "comm_info_request")["comms"].values()] == ["t"]
        assert kernel.ask("shell", "comm_info_request", {"target_name": "u"})["comms"] == {}
        debug = kernel.ask("control", "debug_request", {"type": "request", "seq": 5, "command": "debugInfo"})
        assert (debug["success"], debug["request_seq"], debug["body"]["isStarted"]) == (True, 5, False)
        assert kernel.ask("control", "interrupt_request")["status"] == "ok"
        assert session(remote, kernel)["state"] == "cold"
        assert kernel.run("x").result == "1"


def test_an_expired_session_starts_anew_and_says_so(remote: Broker) -> None:
    with running_kernel() as kernel:
        kernel.run("x = 1")
        remote.http.delete(f"/v1/sessions/{kernel.session_id}")
        answer = kernel.run("'x' in globals()")
        assert answer.result == "False"
        assert "fresh namespace" in answer.stream("stderr")


@pytest.mark.parametrize("name", [PROVISIONED, ARGV])
def test_a_killed_broker_costs_nothing_between_cells(local: LocalBroker, name: str) -> None:
    with running_kernel(name) as kernel:
        kernel.run("x = [1]; y = x")
        for _ in range(2):
            local.kill()
            assert kernel.manager.is_alive()
            answer = kernel.run("x.append(2); y is x")
            assert (answer.result, answer.reply["status"]) == ("True", "ok")
        assert kernel.run("y").result == "[1, 2, 2]"


def test_a_broker_killed_under_a_cell(local: LocalBroker) -> None:
    with running_kernel() as kernel:
        kernel.run("x = 1")
        cell = kernel.begin("x = 2; import time; time.sleep(600)")
        local.kill()
        reply = kernel.reply_to(cell)
        assert (reply["status"], reply["ename"]) == ("error", "RunLost")
        assert kernel.run("x").result == "1"


def test_a_broker_that_is_away_at_launch_and_comes_later(
    make_broker, kernelspecs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = make_broker(start=False)
    monkeypatch.setenv("SERVERLESS_KERNEL_URL", broker.url)
    with running_kernel() as kernel:  # it is ready at once, and has told what it is
        cell = kernel.client.execute("print('ran')")
        seen = []
        while not seen or "content" not in seen[-1] or seen[-1]["msg_type"] != "stream":
            seen.append(kernel.client.get_iopub_msg(timeout=60))
        assert "waiting" in seen[-1]["content"]["text"]
        broker.start()
        assert kernel.reply_to(cell)["status"] == "ok"
        while (
            seen[-1]["content"].get("execution_state") != "idle"
            or seen[-1]["parent_header"]["msg_id"] != cell
        ):
            seen.append(kernel.client.get_iopub_msg(timeout=60))
        mine = [message for message in seen if message["parent_header"].get("msg_id") == cell]
        assert [message["msg_type"] for message in mine] == [
            "status", "stream", "clear_output", "execute_input", "stream", "status",
        ]  # fmt: skip
        assert mine[4]["content"]["text"] == "ran\n"


def test_an_unreachable_broker_fails_the_cell_and_the_next_one_works(
    make_broker, kernelspecs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = make_broker(start=False)
    monkeypatch.setenv("SERVERLESS_KERNEL_URL", broker.url)
    monkeypatch.setenv("SERVERLESS_KERNEL_PATIENCE", "0.5")
    with running_kernel() as kernel:
        first, second = [kernel.client.execute(code) for code in ("x = 1", "x = 2")]
        refused = kernel.reply_to(first)
        assert (refused["status"], refused["ename"]) == ("error", "BrokerUnreachable")
        assert broker.url in refused["evalue"]
        assert kernel.reply_to(second)["status"] == "aborted"
        assert kernel.manager.is_alive()
        broker.start()
        assert kernel.run("x = 3; x").result == "3"


def test_an_interrupt_ends_the_wait_for_a_broker(
    make_broker, kernelspecs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = make_broker(start=False)
    monkeypatch.setenv("SERVERLESS_KERNEL_URL", broker.url)
    with running_kernel() as kernel:
        cell = kernel.client.execute("x = 1")
        kernel.manager.interrupt_kernel()
        assert kernel.reply_to(cell)["ename"] == "KeyboardInterrupt"
        broker.start()


def test_starting_and_shutting_down_leaves_nothing(remote: Broker) -> None:
    process = psutil.Process()
    before = (process.num_fds(), process.num_threads())
    ids = set()
    for number in range(20):
        with running_kernel() as kernel:
            ids.add(kernel.session_id)
            if number % 5 == 0:
                kernel.run("1")
    assert (process.num_fds(), process.num_threads()) <= before
    assert not ids & {item["session_id"] for item in remote.http.get("/v1/sessions").json()["sessions"]}


def test_a_forked_child_leaves_the_parents_kernels_alone(remote: Broker) -> None:
    with running_kernel() as kernel:
        pid = os.fork()
        if pid == 0:
            try:
                asyncio.run(kernel.manager.provisioner.poll())
            finally:
                os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert kernel.run("1 + 1").result == "2"
