"""Frames: whatever is sent comes out, however the bytes are cut; rubbish is refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.hostile import examples
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


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(frames, min_size=1, max_size=3), st.data())
def test_bent_frames_are_refused_or_read_and_never_held_beyond_what_they_name(
    sent: list[Frame], data: st.DataObject
) -> None:
    stream = bytearray(b"".join(b"".join(encode(frame)) for frame in sent))
    for place in data.draw(st.lists(st.integers(0, len(stream) - 1), min_size=1, max_size=4)):
        stream[place] = data.draw(st.integers(0, 255))
    decoder, received = FrameDecoder(), 0
    try:
        for start in range(0, len(stream), 64):
            decoder.feed(bytes(stream[start : start + 64]))
            received += sum(1 for _ in decoder)
    except FrameError:
        return
    assert received <= len(stream) // 12
    assert decoder.pending <= len(stream)


def test_parts_that_are_too_large_together_are_refused_before_they_are_read() -> None:
    decoder = FrameDecoder()
    sizes = b"".join((2**29).to_bytes(8, "big") for _ in range(3))
    decoder.feed(MAGIC + (2).to_bytes(4, "big") + (3).to_bytes(4, "big") + sizes)
    with pytest.raises(FrameError, match="too large"):
        list(decoder)


def test_an_oversized_frame_is_refused_before_it_is_read() -> None:
    decoder = FrameDecoder()
    decoder.feed(MAGIC + (2**31).to_bytes(4, "big") + (0).to_bytes(4, "big"))
    with pytest.raises(FrameError):
        list(decoder)
