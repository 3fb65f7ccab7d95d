"""The wire against everything a stranger may send."""

from __future__ import annotations

import asyncio
import contextlib

import msgpack
import pytest
from gswarm_remote import wire
from hypothesis import given
from hypothesis import strategies as st

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
params = st.dictionaries(st.text(), values, max_size=4)
ids = st.integers(0, 2**63 - 1)
messages = (
    st.builds(wire.Request, ids, st.text(), params)
    | st.builds(wire.Response, ids, st.none() | params, values)
    | st.builds(wire.Notification, st.text(), params)
)


def stream(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


async def read_all(data: bytes) -> list[wire.Message]:
    reader = stream(data)
    found = []
    while (message := await wire.read(reader)) is not None:
        found.append(message)
    return found


@given(st.lists(messages, max_size=4))
def test_what_is_packed_is_read(sent: list[wire.Message]) -> None:
    data = b"".join(wire.pack(message) for message in sent)
    assert asyncio.run(read_all(data)) == sent


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_reason(data: bytes) -> None:
    with contextlib.suppress(wire.WireError):
        found = wire.unpack(data)
        assert wire.unpack(wire.pack(found)[4:]) == found


@given(messages, st.data())
def test_a_frame_cut_anywhere_is_a_lost_connection(
    message: wire.Message, data: st.DataObject
) -> None:
    frame = wire.pack(message)
    cut = data.draw(st.integers(1, len(frame) - 1))
    with pytest.raises(wire.ConnectionLost):
        asyncio.run(read_all(frame[:cut]))


async def test_an_oversized_frame_is_refused_before_it_is_read() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data((wire.MAX_FRAME + 1).to_bytes(4, "big"))
    with pytest.raises(wire.WireError, match="over the limit of 16777216"):
        await wire.read(reader)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\x91" * 100_000 + b"\x00", id="nested 100,000 deep"),
        pytest.param(b"\xdd\xff\xff\xff\xff", id="an array said to hold four billion"),
        pytest.param(b"\xc1", id="a byte that MessagePack never uses"),
        pytest.param(msgpack.packb([0, 1, "m", {1: 2}]), id="a key that is no string"),
        pytest.param(msgpack.packb([0, -1, "m", {}]), id="a negative id"),
        pytest.param(msgpack.packb([0, True, "m", {}]), id="an id that is a boolean"),
        pytest.param(msgpack.packb([0, 1, "m", []]), id="parameters that are no map"),
        pytest.param(msgpack.packb([7, 1, "m", {}]), id="an unknown kind of message"),
        pytest.param(msgpack.packb([2, "m", {"t": msgpack.ExtType(5, b"x")}]), id="an extension"),
        pytest.param(msgpack.packb([2, "m", {}]) + b"\x00", id="bytes after the message"),
        pytest.param(b"\x93\x02\xa1\xff\x80", id="text that is not UTF-8"),
    ],
)
def test_hostile_frames_end_with_a_reason(body: bytes) -> None:
    with pytest.raises(wire.WireError, match="a frame that"):
        wire.unpack(body)


def test_a_message_over_the_limit_is_not_sent() -> None:
    with pytest.raises(wire.WireError, match="over the limit"):
        wire.pack(wire.Notification("progress", {"x": b"\0" * wire.MAX_FRAME}))
