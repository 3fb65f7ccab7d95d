"""What a forwarder counts of the answers that pass through it."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote.services import traffic
from gswarm_remote.services.traffic import Totals, Traffic, read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ..helpers import until

STREAM = b"text/event-stream; charset=utf-8"
JSON = b"application/json"


class Clock:
    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counting(tmp_path: Path, clock: Clock) -> Iterator[Traffic]:
    made = Traffic(tmp_path / "requests", clock=clock)
    yield made
    made.close()


def event(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"


def usage(read_: int, written: int) -> bytes:
    told = {"prompt_tokens": read_, "completion_tokens": written, "total_tokens": read_ + written}
    return b"data: " + json.dumps({"choices": [], "usage": told}).encode() + b"\n\n"


def answer(counting: Traffic, content_type: bytes, *pieces: bytes, status: int = 200) -> Totals:
    passing = counting.begin()
    passing.head(status, content_type)
    for piece in pieces:
        passing.data(piece)
    passing.end()
    return counting.totals


async def test_events_of_a_stream_are_its_tokens(counting: Traffic) -> None:
    said = [event("Hel"), event("lo"), event('"}\n\ndata: {"usage": 5}'), b"data: [DONE]\n\n"]
    totals = answer(counting, STREAM, b": hello\n\n", *said)
    assert (totals.tokens, totals.streams, totals.usages) == (3, 1, 0)


async def test_what_a_usage_says_is_better(counting: Traffic) -> None:
    first = event('"completion_tokens": 999')
    totals = answer(counting, STREAM, first, event("b"), usage(11, 7), b"data: [DONE]\n\n")
    assert (totals.tokens, totals.prompt_tokens, totals.usages) == (7, 11, 1)
    whole = b'{"choices": [{"text": "fine"}], "usage": {"completion_tokens":4,"prompt_tokens":1}}'
    totals = answer(counting, JSON, whole)
    assert (totals.tokens, totals.prompt_tokens, totals.streams) == (11, 12, 1)
    responses = b'data: {"response": {"usage": {"input_tokens": 3, "output_tokens": 5}}}\r\n\r\n'
    totals = answer(counting, STREAM, b"event: response.completed\r\n" + responses)
    assert (totals.tokens, totals.prompt_tokens, totals.streams) == (16, 15, 2)


async def test_other_answers_say_nothing(counting: Traffic) -> None:
    totals = answer(counting, b"audio/wav", b"\ndata: x", b'"completion_tokens": 9')
    totals = answer(counting, JSON, b'{"data": [{"embedding": [0.5]}]}')
    totals = answer(counting, STREAM, event("no"), status=500)
    assert totals == Totals(requests=3)


async def test_until_the_first_event(counting: Traffic, clock: Clock) -> None:
    passing = counting.begin()
    passing.head(200, STREAM)
    clock.now += 0.25
    passing.data(b": wait\n\n")
    clock.now += 0.5
    passing.data(event("a"))
    clock.now += 8
    passing.data(event("b"))
    assert (counting.totals.streams, counting.totals.first_event_us) == (1, 750_000)


@given(cuts=st.lists(st.integers(0, 400), max_size=12), line=st.sampled_from([b"\n", b"\r\n"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_however_the_bytes_are_cut(tmp_path: Path, cuts: list[int], line: bytes) -> None:
    whole = b"".join([event("a"), b": x\n\n", event("data: b"), event("c"), b"data: [DONE]\n\n"])
    whole = whole.replace(b"\n", line)
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})

    async def pass_on() -> Totals:
        counting = Traffic(tmp_path / "requests")
        pieces = [whole[start:end] for start, end in itertools.pairwise(places)]
        totals = answer(counting, STREAM, *pieces)
        counting.close()
        return totals

    assert asyncio.run(pass_on()).tokens == 3


async def test_the_file_is_written_soon(
    counting: Traffic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "WRITE_S", 0)
    path = tmp_path / "requests"
    assert read(path) == Totals()
    passing = counting.begin()
    await until(lambda: (read(path).requests, read(path).running) == (1, 1))  # at once
    passing.head(200, STREAM)
    passing.data(event("a") * 5)
    await until(lambda: read(path).tokens == 5)
    passing.data(usage(1, 4))
    passing.end()
    await until(lambda: not read(path).running)
    # What was too much is taken off what comes: a sum that falls would be another forwarder's.
    assert read(path) == Totals(1, 0, 1, 0, 5, 1, 1)
    assert counting.totals.tokens == 4


async def test_a_file_of_an_older_forwarder(tmp_path: Path) -> None:
    (tmp_path / "requests").write_bytes(b"00000000000000000012")
    assert read(tmp_path / "requests") == Totals(requests=12)


@pytest.mark.parametrize("content", [b"what", b"1 -2", b"9" * 20, b"9" * 9000, b"\xff" * 9])
async def test_a_file_that_is_damaged_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "requests").write_bytes(content)
    assert read(tmp_path / "requests") == Totals()


async def test_where_nothing_can_be_written_all_is_passed_on(tmp_path: Path) -> None:
    counting = Traffic(tmp_path / "no-such-folder" / "requests")
    assert answer(counting, STREAM, event("a")).tokens == 1
    counting.close()
    assert read(tmp_path / "no-such-folder" / "requests") == Totals()


async def test_a_disk_that_hangs_holds_up_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    pwrite = os.pwrite

    def hang(*args: Any) -> int:
        go_on.wait(20)
        return pwrite(*args)

    monkeypatch.setattr(os, "pwrite", hang)
    counting = Traffic(tmp_path / "requests")
    for _ in range(9):
        answer(counting, STREAM, event("a"))
    assert read(tmp_path / "requests") == Totals()
    go_on.set()
    counting.close()
    assert read(tmp_path / "requests").requests == 9


async def test_an_endless_line_is_not_kept(counting: Traffic) -> None:
    passing = counting.begin()
    passing.head(200, STREAM)
    for _ in range(200):
        passing.data(b"x" * 65536)
    passing.data(b"\n" + event("a"))
    passing.end()
    assert counting.totals.tokens == 1
    assert len(passing._tail) + len(passing._edge) < 4096
