"""The screen of services, a talk with one, and its log."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from textual import events

from gswarm_tui.errors import GswarmError, NodeError, UsageError
from gswarm_tui.tui.acting import Recording
from gswarm_tui.tui.screens.chat import ChatScreen
from gswarm_tui.tui.screens.choice import ChoiceScreen
from gswarm_tui.tui.screens.describe import DescribeScreen
from gswarm_tui.tui.screens.service_log import ServiceLogScreen
from gswarm_tui.tui.talking import Echo, Said, read_answer, request
from gswarm_tui.tui.widgets.column import GAP, Column, as_wide_as, in_room
from gswarm_tui.tui.widgets.dialog import NoticeScreen, PlanScreen
from gswarm_tui.tui.widgets.service_table import ServicesTable

from .fleets import simulated
from .some_models import placed, service, without_services
from .stage import LARGE, SIZES, Stage, harmless, on_stage

SameAsBefore = Callable[[Stage, str], None]
TWO = replace(
    placed(),
    services=(
        service(),
        service("qwen", "alpha", state="starting", error="out of memory", running=None),
    ),
)


async def test_what_is_known_of_a_service() -> None:
    async with on_stage(TWO, size=(160, 40)) as stage:
        await stage.open("services")
        line = stage.line_with("http://beta:8000")
        for part in ("llama", "gpu0", "● ready", "1,234", "250 ms", "83 %", "12,345", "3,000"):
            assert part in line
        assert "✗ starting" in stage.text()
        assert "answers 7 requests now; 2 wait" in stage.text()
        await stage.press("j")
        assert "✗ out of memory" in stage.text()


async def test_a_talk() -> None:
    talker = Echo()
    async with on_stage(TWO, talker=talker) as stage:
        await stage.open("services")
        await stage.press("c")
        assert stage.on_top is ChatScreen
        await stage.press(*"hi", "enter")
        assert "llama would answer to “hi”" in stage.text()
        await stage.press(*"so", "enter")
        talk, key = talker.asked[-1]
        assert [said.role for said in talk] == ["user", "assistant", "user"]
        assert key is None
        await stage.press("pageup", "pagedown", "escape")
        assert stage.app.screen is stage.view


async def test_of_several_lines_that_are_pasted_into_a_talk_none_is_lost() -> None:
    talker = Echo()
    async with on_stage(TWO, talker=talker) as stage:
        await stage.open("services")
        await stage.press("c")
        stage.app.post_message(events.Paste("why\n\n  is that\n"))
        await stage.press("enter")
        assert [said.text for talk, _ in talker.asked for said in talk] == ["why is that"]


async def test_a_talk_that_fails_says_why_and_takes_a_key() -> None:
    talker = Echo(error=NodeError("no route to host", where="beta"))
    async with on_stage(TWO, talker=talker) as stage:
        await stage.open("services")
        await stage.press("c", *"hi", "enter")
        assert "✗ beta: no route to host" in stage.text()
        talker.error = None
        await stage.press("slash", *"key", "space", *"KEY", "enter", *"hi", "enter")
        assert talker.asked[-1] == ((Said("user", "hi"),), "KEY")
        assert "$KEY" in stage.text()


async def test_what_cannot_be_asked_says_so() -> None:
    portless = replace(TWO, services=(service(port=None),))
    async with on_stage(portless, talker=Echo()) as stage:
        await stage.open("services")
        await stage.press("c")
        assert stage.on_top is NoticeScreen
        assert "there is no port" in stage.text()
    async with on_stage(TWO) as stage:
        await stage.open("services")
        for key in "cl":
            await stage.press(key)
            assert "no node can be asked" in stage.text()
            await stage.press("enter")


async def test_the_log_of_its_engine() -> None:
    talker = Echo()
    async with on_stage(TWO, talker=talker) as stage:
        await stage.open("services")
        await stage.press("l")
        assert stage.on_top is ServiceLogScreen
        assert "the log of llama on beta would be here" in stage.text()
        talker.error = NodeError("no route to host", where="beta")
        await stage.press("r")
        assert "✗ beta: no route to host" in stage.text()
        await stage.press("escape")
        assert stage.app.screen is stage.view


async def test_stop_asks_and_names_what_ends() -> None:
    actor = Recording()
    async with on_stage(TWO, actor=actor) as stage:
        await stage.open("services")
        await stage.press("X")
        assert stage.on_top is PlanScreen
        assert "at http://beta:8000 ends, with 7 requests under way" in stage.text()
        await stage.press("enter", "ctrl+space", "X", "enter")
        assert [deed.title for deed in actor.done] == [
            "stop llama on beta:gpu0",
            "stop llama, qwen on beta:gpu0, alpha:gpu0",
        ]


async def test_read_only_stops_nothing() -> None:
    actor = Recording()
    async with on_stage(TWO, actor=actor, read_only=True) as stage:
        await stage.open("services")
        await stage.press("X")
        assert stage.on_top is NoticeScreen
        assert actor.proposed == []


async def test_what_only_its_node_reaches_has_a_tunnel_to_copy() -> None:
    tunnel = "ssh -L 8000:127.0.0.1:8000 -N beta"
    there = replace(TWO, services=(service(url=None, tunnel=tunnel),))
    async with on_stage(there) as stage:
        await stage.open("services")
        assert "127.0.0.1:8000 there" in stage.line_with("● ready")
        assert "listens at 127.0.0.1:8000 on beta only" in stage.text()
        assert stage.line_with("ssh -L").strip() == tunnel
        await stage.press("y")
        assert stage.app.clipboard == tunnel
        await stage.push(TWO)
        await stage.press("y")
        assert stage.app.clipboard == "http://beta:8000"


async def test_what_is_being_loaded_is_there_too_and_becomes_the_service() -> None:
    early = service("qwen", "alpha", state="starting", port=None, url=None, service="", job=5)
    actor = Recording()
    loading = replace(TWO, services=(service(),), starting=(early,))
    async with on_stage(loading, actor=actor, talker=Echo()) as stage:
        await stage.open("services")
        assert "alpha" in stage.line_with("◐ starting")
        await stage.press("X")
        assert "cancel job 5, which loads it" in stage.text()
        assert stage.text().count("it is being loaded by job 5; nobody can ask it yet") == 1
        await stage.press("enter", "c")
        assert stage.text().count("it is being loaded by job 5; nobody can ask it yet") == 2
        await stage.press("enter")
        assert not actor.proposed
        await stage.push(
            replace(loading, starting=(), services=(service("qwen", "alpha"), service()))
        )
        table = stage.view.query_one(ServicesTable)
        assert table.current is not None
        assert (table.current.model, table.current.state) == ("qwen", "ready")


@pytest.mark.parametrize("width", range(60, 200))
def test_each_column_that_is_shown_has_room(width: int) -> None:
    shown = in_room(ServicesTable()._columns, width)
    assert 1 + sum(room + GAP for _, _, room in shown) - GAP <= max(width, 79)


async def test_sort_filter_and_describe() -> None:
    async with on_stage(TWO) as stage:
        await stage.open("services")
        await stage.press("o")
        assert stage.on_top is ChoiceScreen
        await stage.press("j", "j", "enter")
        table = stage.app.screen.query_one(ServicesTable)
        assert [row.node for row in table.rows] == ["alpha", "beta"]
        await stage.press("slash", *"!qwen", "enter")
        assert [row.model for row in table.rows] == ["llama"]
        for key in ("d", "enter"):
            await stage.press(key)
            assert stage.on_top is DescribeScreen
            await stage.press("escape")


async def test_without_services_every_key_is_harmless() -> None:
    async with on_stage(without_services(), actor=Recording(), talker=Echo()) as stage:
        await stage.open("services")
        assert "nothing is served" in stage.text()
        await stage.press("c", "l", "X", "d", "enter")
        assert stage.app.screen is stage.view


def test_a_question_and_its_answer() -> None:
    asked = request("llama", [Said("user", "hi")])
    assert asked["messages"] == [{"role": "user", "content": "hi"}]
    body = json.dumps({"choices": [{"message": {"content": "hello"}}]}).encode()
    assert read_answer({"status": 200, "body": body}, "http://x") == "hello"
    with pytest.raises(GswarmError, match="no chat completion: <html>"):
        read_answer({"status": 200, "body": "<html>"}, "http://x")
    with pytest.raises(GswarmError, match="answered with 401") as caught:
        read_answer({"status": 401, "body": "no"}, "http://x")
    assert "/key" in (caught.value.hint or "")
    assert not isinstance(caught.value, UsageError)


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_names_are_harmless(size: tuple[int, int]) -> None:
    snapshot, _ = simulated(hostile=True)
    async with on_stage(snapshot, size=size, actor=Recording(), talker=Echo()) as stage:
        await stage.open("services")
        assert harmless(stage.strips())
        for key in ("X", "l", "d", "c"):
            await stage.press(key)
            assert harmless(stage.strips())
            await stage.press("escape", "j")


@pytest.mark.parametrize("size", SIZES)
async def test_it_looks_as_before(size: tuple[int, int], same_as_before: SameAsBefore) -> None:
    snapshot, history = simulated()
    async with on_stage(snapshot, size=size, history=history) as stage:
        await stage.open("services")
        same_as_before(stage, f"services-{size[0]}x{size[1]}")


async def test_on_a_wide_terminal_columns_are_as_wide_as_what_stands_in_them() -> None:
    long = service("a-model-with-a-name-that-is-longer-than-any-other")
    async with on_stage(replace(placed(), services=(service(), long)), size=LARGE) as stage:
        await stage.open("services")
        line, head = stage.line_with(long.model), stage.line_with("ENDPOINT")
        assert head.index("NODE") - len(long.model) < 12
        assert head.index("TOK/S") - line.index("http://beta:8000") < 36


def test_a_column_leaves_what_it_does_not_need_to_the_others() -> None:
    short: Column[str] = Column("a", str, 5, 1, most=6)
    long: Column[str] = Column("b", str, 5, 1)
    assert [room for _, _, room in in_room((short, long), 25)] == [6, 14]
    assert [room for _, _, room in in_room((short, long), 15)] == [5, 5]
    fitted = as_wide_as((short, long), ["x" * 9])
    assert [column.most for column in fitted] == [16, 16]
    assert [room for _, _, room in in_room(fitted, 90)] == [16, 16]
