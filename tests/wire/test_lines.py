"""Event lines, messages, ids and problems."""

import json
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_broker.wire.events import LineError, read_line, to_line
from kernel_broker.wire.ids import is_valid_id, new_run_id, new_session_id
from kernel_broker.wire.messages import Message
from kernel_broker.wire.problems import CODES, Problem


@given(st.integers(0, 2**40), st.dictionaries(st.sampled_from(["a", "b"]), st.text(max_size=50)))
def test_a_line_is_read_as_it_was_written(seq: int, members: dict[str, str]) -> None:
    line = to_line("end", seq, **members)
    assert line.count(b"\n") == 1
    assert read_line(line) == {"event": "end", "seq": seq, **members}


def test_half_of_a_surrogate_pair_goes_through_a_line() -> None:
    assert read_line(to_line("end", 1, notices=["caf\udce9"]))["notices"] == ["caf\udce9"]


@given(st.text(max_size=100), st.lists(st.binary(max_size=50), max_size=3))
def test_a_message_keeps_its_parts(text: str, buffers: list[bytes]) -> None:
    content = json.dumps({"text": text}, ensure_ascii=False).encode()
    message = Message("iopub", "stream", "p", b'{"msg_id":"m"}', b"{}", b"{}", content, buffers)
    event = read_line(message.to_line(3))
    assert (event["seq"], event["content"], event["header"]) == (3, {"text": text}, {"msg_id": "m"})
    assert [b64decode(part) for part in event["buffers"]] == buffers


def test_bytes_that_are_no_text_and_line_breaks_cannot_break_a_stream() -> None:
    content = b'{"text":"a\x80b",\n\r"n":1}'
    line = Message("iopub", "stream", "p", b"{}", b"{}", b"{}", content).to_line(0)
    assert len(line.splitlines()) == 1
    assert read_line(line)["content"] == {"text": "a\ufffdb", "n": 1}


@pytest.mark.parametrize(
    "line", ["request timeout", "", "[]", "{}", '{"event":1,"seq":1}', '{"event":"end"}']
)
def test_what_a_proxy_writes_into_a_stream_is_no_event(line: str) -> None:
    with pytest.raises(LineError):
        read_line(line)


@pytest.mark.parametrize("bad", ["", "a/b", "..", "-x", "x" * 129, "a b", "ä", "a\n"])
def test_ids_cannot_be_paths_or_text(bad: str) -> None:
    assert not is_valid_id(bad)
    assert is_valid_id(new_run_id())
    assert is_valid_id(new_session_id())


@pytest.mark.parametrize("code", CODES)
def test_every_problem_has_a_status_and_a_type(code: str) -> None:
    document = Problem(code, "what happened", retry_after=1.5, extra={"revision": 3}).to_json()
    assert document["status"] == CODES[code]
    assert document["type"].endswith(code)
    assert (document["retry_after"], document["revision"]) == (1.5, 3)
