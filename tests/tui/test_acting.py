"""From a key to a job: what is asked, shown, confirmed, carried out and said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from gswarm_tui.cli.context import Settings
from gswarm_tui.errors import EXIT_LOCKED, GswarmError, NodeError, UsageError
from gswarm_tui.tui.acting import (
    CommandLine,
    Deed,
    Done,
    Proposal,
    Recording,
    _error,
    _read_check,
    demo,
    equal_command,
)
from gswarm_tui.tui.widgets.dialog import Field, Flag, Form, FormScreen, NoticeScreen, PlanScreen
from gswarm_tui.tui.widgets.line_input import Words
from gswarm_tui.watch.simulation.hostile import NASTY

from .some_models import placed
from .stage import SIZES, harmless, on_stage

DEED = Deed(
    "delete llama from alpha:disk",
    (("model", "delete", "llama", "--device", "alpha:disk"),),
    ({"action_id": "x", "action_type": "delete", "model_name": "llama", "device": "alpha:disk"},),
    about="llama",
)
DANGEROUS = Deed("delete lone", DEED.commands, losses=("the last whole copy of lone",))


class Slow:
    """An `Actor` that answers when it is let."""

    def __init__(self) -> None:
        self.may_propose, self.may_end = asyncio.Event(), asyncio.Event()
        self.done: list[Deed] = []

    async def propose(self, deed: Deed) -> Proposal:
        await self.may_propose.wait()
        return Proposal(deed, "gswarm do", ("would do",))

    async def carry_out(self, proposal: Proposal) -> Done:
        await self.may_end.wait()
        self.done.append(proposal.deed)
        return Done(17)


async def test_enter_carries_out_what_was_shown_and_it_is_an_event() -> None:
    actor = Recording(plan=("delete llama: would do",), job=17)
    async with on_stage(placed(), actor=actor) as stage:
        stage.app.deeds.begin(DEED)
        await stage.pilot.pause()
        assert "delete llama: would do" in stage.text()
        assert "gswarm model delete llama --device alpha:disk" in stage.text()
        assert actor.done == []
        await stage.press("enter")
        assert actor.done == [DEED]
        assert stage.notices() == ["delete llama from alpha:disk: job 17"]
        await stage.push(placed())
        await stage.open("events")
        assert "job 17" in stage.line_with("delete llama from alpha:disk")


async def test_esc_does_nothing() -> None:
    actor = Recording()
    async with on_stage(placed(), actor=actor) as stage:
        stage.app.deeds.begin(DEED)
        await stage.pilot.pause()
        await stage.press("escape")
        assert actor.done == []
        assert stage.app.screen is stage.view


async def test_nothing_is_done_before_the_plan_was_seen() -> None:
    actor = Slow()
    actor.may_end.set()
    async with on_stage(placed(), actor=actor) as stage:
        stage.app.deeds.begin(DEED)
        await stage.press("enter", "enter")
        assert stage.on_top is PlanScreen
        assert "asking the fleet" in stage.text()
        actor.may_propose.set()
        await stage.pilot.pause()
        await stage.press("enter")
        assert actor.done == [DEED]


async def test_the_screen_answers_while_something_is_carried_out() -> None:
    actor = Slow()
    actor.may_propose.set()
    async with on_stage(placed(), actor=actor) as stage:
        stage.app.deeds.begin(DEED)
        await stage.pilot.pause()
        await stage.press("enter")
        await stage.open("models")
        await stage.press("j")
        assert "Models" in stage.lines()[1]
        actor.may_end.set()
        await stage.pilot.pause()
        assert actor.done == [DEED]


async def test_what_is_dangerous_names_what_will_be_lost() -> None:
    async with on_stage(placed(), actor=Recording()) as stage:
        stage.app.deeds.begin(DANGEROUS)
        await stage.pilot.pause()
        assert "✗ the last whole copy of lone" in stage.text()
        assert "┏" in stage.text()  # another frame, not only another colour


async def test_an_error_stays_until_it_is_read_and_is_an_event() -> None:
    error = NodeError("no route to host", where="alpha", hint="is it on?")
    actor = Recording(error=error)
    async with on_stage(placed(), actor=actor) as stage:
        stage.app.deeds.begin(DEED)
        await stage.pilot.pause()
        await stage.press("enter")
        await stage.push(placed())
        assert stage.on_top is NoticeScreen
        assert "alpha: no route to host" in stage.text()
        assert "is it on?" in stage.text()
        await stage.press("enter")
        await stage.open("events")
        assert "error" in stage.line_with("alpha: no")


async def test_a_notice_waits_until_nothing_is_typed() -> None:
    async with on_stage(placed(), actor=Recording()) as stage:
        await stage.press("colon")
        stage.app.deeds.tell("failed", "a reason")
        await stage.type("mod")
        assert stage.on_top is not NoticeScreen
        await stage.press("escape")
        await stage.push(placed())
        assert stage.on_top is NoticeScreen


async def test_notices_come_one_after_the_other() -> None:
    async with on_stage(placed(), actor=Recording()) as stage:
        stage.app.deeds.tell("first", "a reason")
        stage.app.deeds.tell("second", "a reason")
        await stage.pilot.pause()
        assert "first" in stage.text()
        await stage.press("escape")
        assert "second" in stage.text()
        await stage.press("q")
        assert stage.app.screen is stage.view


async def test_read_only_refuses_in_a_sentence() -> None:
    actor = Recording()
    async with on_stage(placed(), actor=actor, read_only=True) as stage:
        stage.app.deeds.begin(DEED)
        await stage.pilot.pause()
        assert "gswarm-tui was started with --read-only: nothing is changed" in stage.text()
        await stage.press("enter")
        stage.app.deeds.ask(Form("delete", (Field("a", "a"),), lambda _: DEED))
        await stage.pilot.pause()
        assert stage.on_top is NoticeScreen
        assert actor.proposed == []


async def test_without_an_actor_nothing_can_be_changed() -> None:
    async with on_stage(placed(), actor=None) as stage:
        stage.app.deeds.begin(DEED)
        await stage.pilot.pause()
        assert stage.on_top is NoticeScreen


async def test_what_cannot_be_proposed_says_why() -> None:
    class Refusing(Slow):
        async def propose(self, deed: Deed) -> Proposal:
            raise UsageError("no node is called x", hint="see the inventory")

    actor = Refusing()
    async with on_stage(placed(), actor=actor) as stage:
        stage.app.deeds.begin(DEED)
        await stage.pilot.pause()
        assert "✗ no node is called x" in stage.text()
        await stage.press("enter")
        assert stage.on_top is PlanScreen
        await stage.press("q")
        assert stage.app.screen is stage.view


async def test_y_copies_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    async with on_stage(placed(), actor=Recording()) as stage:
        await stage.press("y")
        assert stage.app.clipboard == ""
        stage.app.deeds.begin(DEED)
        await stage.pilot.pause()
        await stage.press("y")
        assert stage.app.clipboard == "gswarm model delete llama --device alpha:disk"
        await stage.press("enter")
        stage.app.copy_to_clipboard("")
        await stage.press("y")
        assert stage.app.clipboard == "gswarm model delete llama --device alpha:disk"


async def test_a_form_completes_and_says_what_is_wrong() -> None:
    def make(given: dict[str, str]) -> Deed:
        if given["to"] != "alpha:disk, beta:disk":
            raise UsageError("that is no place", hint="write alpha:disk")
        return Deed(f"to {given['to']} {given['keep']}")

    form = Form(
        "download",
        (Field("to", "to", words=("alpha:disk", "beta:disk")), Flag("keep", "keep", True)),
        make,  # type: ignore[arg-type]
    )
    async with on_stage(placed(), actor=Recording()) as stage:
        stage.app.deeds.ask(form)
        await stage.press(*"al", "tab", "enter")
        assert "✗ that is no place" in stage.text()
        assert "write alpha:disk" in stage.text()
        await stage.press("comma", "space", *"be", "tab", "tab", "space", "enter")
        assert "to alpha:disk, beta:disk" in stage.text()
        assert stage.on_top is PlanScreen


async def test_esc_leaves_a_form() -> None:
    form = Form("download", (Field("to", "to"),), lambda _: DEED)
    async with on_stage(placed(), actor=Recording()) as stage:
        stage.app.deeds.ask(form)
        await stage.press("x", "escape")
        assert stage.app.screen is stage.view


async def test_esc_goes_from_a_plan_back_to_the_form_as_it_was_filled() -> None:
    asked: list[dict[str, str]] = []

    def make(given: Mapping[str, str]) -> Deed:
        asked.append(dict(given))
        return DEED

    fields = (Field("to", "to"), Field("port", "port", "8"), Flag("keep", "keep", True))
    actor = Recording()
    async with on_stage(placed(), actor=actor) as stage:
        stage.app.deeds.ask(Form("copy", (*fields, Field("engine", "engine")), make))
        await stage.press(*"beta", "down", "0", "down", "space", "up", "enter")
        assert stage.on_top is PlanScreen
        stage.line_with("Esc: back to the form   q leaves")
        await stage.press("escape")
        assert stage.on_top is FormScreen
        assert "beta" in stage.line_with("to  ")
        stage.line_with("[ ] keep")
        assert getattr(stage.app.focused, "id", None) == "port"
        await stage.press("1", "enter", "escape", "enter", "escape", "escape")
        assert stage.app.screen is stage.view
        given = {"to": "beta", "port": "80", "keep": "", "engine": ""}
        assert asked == [given, given | {"port": "801"}, given | {"port": "801"}]
        assert actor.done == []


async def test_from_a_plan_q_leaves_the_form_too_and_without_a_form_esc_leaves() -> None:
    form = Form("copy", (Field("to", "to"),), lambda _: DEED)
    async with on_stage(placed(), actor=Recording()) as stage:
        stage.app.deeds.ask(form)
        await stage.press("enter", "q")
        assert stage.app.screen is stage.view
        stage.app.deeds.begin(DEED)
        await stage.shows("Esc leaves")
        assert "back to the form" not in stage.text()


async def test_what_was_given_already_is_not_completed_again() -> None:
    words = Words(["alpha:disk", "alpha:dram"])
    assert await words.get_suggestion("al") == "alpha:disk"
    assert await words.get_suggestion("alpha:disk,al") == "alpha:disk,alpha:dram"
    assert await words.get_suggestion("") is None


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_texts_are_shown_harmlessly(size: tuple[int, int]) -> None:
    nasty = "".join(NASTY)
    deed = Deed(nasty, ((nasty,),), losses=(nasty,), about=nasty)
    form = Form(nasty, (Field("a", nasty, hint=nasty), Flag("b", nasty)), lambda _: deed, nasty)
    async with on_stage(placed(), size=size, actor=Recording(plan=(nasty,))) as stage:
        stage.app.deeds.ask(form)
        await stage.pilot.pause()
        assert harmless(stage.strips())
        await stage.press("enter")
        assert stage.on_top is PlanScreen
        assert harmless(stage.strips())
        await stage.press("enter", "escape")
        stage.app.deeds.tell(nasty, nasty)
        await stage.push(placed())
        assert stage.on_top is NoticeScreen
        assert harmless(stage.strips())


def settings(folder: Path) -> Settings:
    inventory = folder / "inventory.yaml"
    inventory.write_text("nodes:\n  alpha: {host: 10.0.0.1}\n")
    return Settings(data_dir=folder / "data", inventory_path=inventory)


async def test_the_command_line_says_why_in_its_own_words(tmp_path: Path) -> None:
    action = {**DEED.actions[0], "device": "beta:disk"}
    with pytest.raises(UsageError) as caught:
        await CommandLine(settings(tmp_path)).propose(Deed("delete", (), (action,)))
    assert "no node is called `beta`" in str(caught.value)
    assert "tui-" not in str(caught.value)
    assert not list((tmp_path / "data").glob("tui-*"))


async def test_commands_that_are_no_playbook_are_run_themselves(tmp_path: Path) -> None:
    actor = CommandLine(settings(tmp_path))
    deed = Deed("pause the queue", (("queue", "pause"), ("jobs", "--json")))
    proposal = await actor.propose(deed)
    assert proposal.plan == ()
    done = await actor.carry_out(proposal)
    assert done.job is None
    assert done.said
    missing = await actor.propose(Deed("cancel", (("job", "cancel", "99"),)))
    with pytest.raises(GswarmError, match="no job 99"):
        await actor.carry_out(missing)


def test_the_equal_command_can_be_pasted(tmp_path: Path) -> None:
    deed = Deed("x", (("model", "copy", "a b"), ("jobs",)))
    known = Settings(data_dir=Path("/my data"))
    assert equal_command(deed, known) == (
        "gswarm --data-dir '/my data' model copy 'a b' && gswarm --data-dir '/my data' jobs"
    )


async def test_a_plan_that_would_fail_is_not_offered_like_another() -> None:
    actor = Recording(
        plan=("serve llama on alpha:dram: would fail",), problems=("it is not there",)
    )
    async with on_stage(placed(), actor=actor) as stage:
        stage.app.deeds.begin(DEED)
        await stage.pilot.pause()
        stage.line_with("✗ would fail: it is not there")
        stage.line_with("Enter does it all the same")
        assert "would do" not in stage.text()


async def test_the_demo_says_at_the_plan_and_after_it_that_nothing_is_done() -> None:
    async with on_stage(placed(), actor=demo()) as stage:
        stage.app.deeds.begin(DEED)
        await stage.shows("Enter pretends to do it")
        stage.line_with("the demo changes nothing")
        assert "Enter does" not in stage.text()
        await stage.press("enter")
        title = "delete llama from alpha:disk"
        assert stage.notices() == [f"{title}: pretended; the demo changes nothing"]


def test_what_a_check_found_is_said_as_one_says_it() -> None:
    action = {
        "action_type": "stop_serve",
        "summary": "llama on alpha:gpu0",
        "check": "would fail",
        "because": ["alpha:gpu0 has 1.0 GB of 80.0 GB free, eve holds 79.0 GB"],
        "moves": {},
        "problems": ["it is not there"],
        "seconds": None,
    }
    check = {"actions": [action], "space": [], "seconds": None, "unreachable": {}}
    found = _read_check(DEED, "gswarm do", json.dumps(check))
    assert found.plan == (
        "stop serving llama on alpha:gpu0: would fail",
        "  alpha:gpu0 has 1.0 GB of 80.0 GB free, eve holds 79.0 GB",
    )
    assert found.problems == ("it is not there",)


def test_a_hint_names_no_option_of_the_command_line() -> None:
    said = "error: p is under way: job 3\n  hint: --overlap wait waits for its end\n"
    assert _error(said, EXIT_LOCKED).hint == "do it again when that has ended"
