"""Frames: whatever is sent comes out, however the bytes are cut; rubbish is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_broker.wire.frames import MAGIC, Frame, FrameDecoder, FrameError, encode

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
frames = st.builds(
    Frame,
    kind=st.text(min_size=1, max_size=12),
    head=st.dictionaries(st.text(max_size=8).filter(lambda name: name != "kind"), json_values, max_size=4),
    parts=st.lists(st.binary(max_size=200), max_size=4).map(tuple),
)


@given(st.lists(frames, max_size=5), st.data())
def test_frames_survive_any_cut(sent: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(b"".join(encode(frame)) for frame in sent)
    decoder, received = FrameDecoder(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        decoder.feed(stream[:size])
        stream = stream[size:]
        received += list(decoder)
    assert received == sent
    assert decoder.pending == 0


@given(st.binary(min_size=12, max_size=400))
def test_rubbish_is_refused_or_waited_for_but_never_crashes(rubbish: bytes) -> None:
    decoder = FrameDecoder()
    decoder.feed(rubbish)
    if rubbish.startswith(MAGIC):
        return
    with pytest.raises(FrameError):
        list(decoder)


@pytest.mark.parametrize(
    "head", [b"[]", b"{}", b'{"kind":1}', b"\xff", b"{", b"[" * 100_000], ids=lambda raw: repr(raw[:8])
)
def test_a_head_that_names_no_kind_is_refused(head: bytes) -> None:
    whole = b"".join(encode(Frame("x")))
    body = json.dumps({"kind": "x"}, separators=(",", ":")).encode()
    broken = whole[:4] + len(head).to_bytes(4, "big") + whole[8 : -len(body)] + head
    decoder = FrameDecoder()
    decoder.feed(broken)
    with pytest.raises(FrameError):
        list(decoder)


def test_an_oversized_frame_is_refused_before_it_is_read() -> None:
    decoder = FrameDecoder()
    decoder.feed(MAGIC + (2**31).to_bytes(4, "big") + (0).to_bytes(4, "big"))
    with pytest.raises(FrameError):
        list(decoder)
