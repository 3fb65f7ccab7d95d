"""Calls over a real socket pair: answers, errors, progress, cancel and the ends of connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from gswarm_remote import wire
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.rpc import Call, Handler, Peer


@asynccontextmanager
async def peers(handlers: dict[str, Handler]) -> AsyncIterator[tuple[Peer, Peer]]:
    left, right = socket.socketpair()
    asking = Peer(*await asyncio.open_unix_connection(sock=left))
    answering = Peer(*await asyncio.open_unix_connection(sock=right), handlers)
    tasks = [asyncio.ensure_future(peer.run()) for peer in (asking, answering)]
    try:
        yield asking, answering
    finally:
        asking.close()
        answering.close()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_call_returns_what_the_handler_returns() -> None:
    async def double(call: Call, params: dict[str, Any]) -> int:
        return int(params["n"]) * 2

    async with peers({"double": double}) as (asking, _):
        answers = await asyncio.gather(*(asking.call("double", {"n": n}) for n in range(50)))
    assert answers == [n * 2 for n in range(50)]


async def test_an_error_arrives_whole() -> None:
    async def fail(call: Call, params: dict[str, Any]) -> None:
        raise HelperError(Kind.NO_SPACE, "full", hint="free some", where="/models")

    async with peers({"fail": fail}) as (asking, _):
        with pytest.raises(HelperError) as caught:
            await asking.call("fail", {})
    error = caught.value
    assert (error.kind, error.message, error.hint, error.where) == (
        Kind.NO_SPACE,
        "full",
        "free some",
        "/models",
    )


async def test_a_bug_in_a_handler_is_an_error_and_the_connection_goes_on() -> None:
    async def broken(call: Call, params: dict[str, Any]) -> None:
        raise KeyError("x")

    async def unpackable(call: Call, params: dict[str, Any]) -> object:
        return object()

    async with peers({"broken": broken, "unpackable": unpackable}) as (asking, _):
        for method, text in [
            ("broken", "KeyError"),
            ("unpackable", "cannot be sent"),
            ("nothing", "no method 'nothing'"),
        ]:
            with pytest.raises(HelperError, match=text):
                await asking.call(method, {})


async def test_progress_comes_before_the_answer() -> None:
    async def work(call: Call, params: dict[str, Any]) -> str:
        call.progress({"done": 1})
        await asyncio.sleep(0)
        call.progress({"done": 2})
        return "done"

    seen: list[int] = []
    async with peers({"work": work}) as (asking, _):
        assert await asking.call("work", {}, progress=lambda p: seen.append(p["done"])) == "done"
    assert seen[-1] == 2


async def test_a_cancel_that_comes_with_its_request_is_answered() -> None:
    async def wait(call: Call, params: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    async with peers({"wait": wait}) as (asking, answering):
        # Both are read in one go, before the request is begun.
        answering._receive(wire.Request(77, "wait", {}))
        answering._receive(wire.Notification("cancel", {"id": 77}))
        answer = asking._waiting[77] = asyncio.get_running_loop().create_future()
        with pytest.raises(HelperError, match="wait was cancelled"):
            await asyncio.wait_for(answer, 20)


async def test_a_cancel_that_crosses_the_answer_ends_the_call() -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def work(call: Call, params: dict[str, Any]) -> str:
        asked.set()
        await go.wait()
        return "done"

    async with peers({"work": work}) as (asking, _):
        task = asyncio.ensure_future(asking.call("work", {}))
        await asked.wait()
        received = asking._receive

        def cancel_and_receive(message: wire.Message) -> None:
            task.cancel()  # its own step comes later in this turn of the loop
            received(message)

        asking._receive = cancel_and_receive  # type: ignore[method-assign]
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 20)


async def test_cancelling_a_call_cancels_it_there_and_waits_for_its_end() -> None:
    started = asyncio.Event()
    events: list[str] = []

    async def work(call: Call, params: dict[str, Any]) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            events.append("ended there")

    async with peers({"work": work}) as (asking, _):
        task = asyncio.ensure_future(asking.call("work", {}))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        events.append("ended here")
    assert events == ["ended there", "ended here"]


async def test_a_lost_connection_fails_what_waits_and_tells_the_handler() -> None:
    started = asyncio.Event()
    lost: list[bool] = []

    async def work(call: Call, params: dict[str, Any]) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            lost.append(call.connection_lost)

    async with peers({"work": work}) as (asking, _):
        task = asyncio.ensure_future(asking.call("work", {}))
        await started.wait()
        asking.close()
        with pytest.raises(wire.ConnectionLost):
            await task
        with pytest.raises(wire.ConnectionLost):
            await asking.call("work", {})
    assert lost == [True]


@pytest.mark.parametrize(
    "send",
    [
        pytest.param(lambda w: w.write(b"GET / HTTP/1.1\r\n\r\n"), id="http"),
        pytest.param(lambda w: w.write(b"\x00\x00\x00\x01\xc1"), id="not MessagePack"),
        pytest.param(lambda w: w.write(b"\xff\xff\xff\xff"), id="oversized"),
    ],
)
async def test_what_is_not_the_protocol_ends_that_connection_with_a_reason(
    send: Callable[[asyncio.StreamWriter], None],
) -> None:
    left, right = socket.socketpair()
    _, writer = await asyncio.open_unix_connection(sock=left)
    peer = Peer(*await asyncio.open_unix_connection(sock=right), {})
    send(writer)
    with pytest.raises(wire.WireError):
        await peer.run()
    assert peer.closed
    writer.close()
    peer.close()
