"""For everything that has keys, where each of them does something."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from textual.dom import DOMNode

from gswarm_tui.errors import NodeError
from gswarm_tui.inventory import Inventory, NodeSpec
from gswarm_tui.state.states import State
from gswarm_tui.tui.acting import Recording
from gswarm_tui.tui.screens.chat import ChatLine, ChatScreen
from gswarm_tui.tui.screens.choice import ChoiceScreen
from gswarm_tui.tui.screens.describe import DescribeScreen
from gswarm_tui.tui.screens.events import EventsView
from gswarm_tui.tui.screens.fleet import FleetView
from gswarm_tui.tui.screens.help import HelpScreen
from gswarm_tui.tui.screens.inventory import InventoryView
from gswarm_tui.tui.screens.job import JobView
from gswarm_tui.tui.screens.jobs import JobsView
from gswarm_tui.tui.screens.log import LogView
from gswarm_tui.tui.screens.machine import MachineView
from gswarm_tui.tui.screens.placing_view import PlacingView
from gswarm_tui.tui.screens.playbook import PlaybookView
from gswarm_tui.tui.screens.playbooks import PlaybooksView
from gswarm_tui.tui.screens.service_log import ServiceLogScreen
from gswarm_tui.tui.screens.services import ServicesView
from gswarm_tui.tui.screens.transfers import TransfersView
from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.talking import Echo, Said
from gswarm_tui.tui.widgets.dialog import Field, Flag, Form, FormScreen, NoticeScreen, PlanScreen
from gswarm_tui.tui.widgets.fleet_table import FleetTable
from gswarm_tui.tui.widgets.gpu_cards import GpuCards
from gswarm_tui.tui.widgets.line_table import LineTable
from gswarm_tui.tui.widgets.log_text import LogText
from gswarm_tui.tui.widgets.model_table import ModelTable
from gswarm_tui.tui.widgets.prompt import Prompt
from gswarm_tui.tui.widgets.tick import Tick
from gswarm_tui.watch.snapshot import Event, FleetSnapshot

from .fleets import fleet, gpu, node, troubled
from .some_jobs import DETAILS, JOBS, TASKS, task
from .some_models import placed, service, transfer
from .stage import SMALL, Stage
from .test_acting import DANGEROUS

Steps = Callable[[Stage], Awaitable[None]]

EVENTS = (
    Event(1.0, "info", "alpha", "answers"),
    Event(2.0, "info", "llama", "is on beta:disk", "gswarm model copy llama"),
    Event(3.0, "error", "job 8", "roll-out failed"),
)
MANY = replace(DETAILS, tasks=(*TASKS, *(task(f"pull[{n}]", State.PENDING) for n in range(20))))
PICTURE = replace(
    placed(),
    jobs=JOBS,
    job_details=MANY,
    events=EVENTS,
    services=(service(), service("qwen", "alpha")),
    transfers=(transfer(), transfer(model="llama", source="alpha:disk")),
)
INVENTORY = Inventory({name: NodeSpec(name, "10.0.0.1") for name in ("alpha", "beta")})
OPTIONS: dict[str, Any] = {
    "inventory": INVENTORY,
    "talker": Echo(),
    "shell": lambda name: None,  # there is no terminal to leave; that is said
}
SUBJECTS = {"node": "alpha", "gpu": "alpha:gpu0", "model": "llama", "job": "9", "log": "9/serve"}
FORM = Form(
    "delete",
    (Field("from", "from", "", ("alpha:disk",)), Flag("b", "b")),
    lambda given: DANGEROUS,
)


@dataclass(frozen=True)
class Scene:
    """Something with keys on a screen, so that most of them do something.

    Args:
        steps: what brings it there, from the home screen on.
    """

    steps: Steps
    picture: FleetSnapshot = PICTURE
    size: tuple[int, int] = SMALL


def at(word: str, *keys: str) -> Steps:
    """Open a screen, and press keys there."""

    async def steps(stage: Stage) -> None:
        await stage.open(word, SUBJECTS.get(word))
        for key in keys:
            await stage.press(key)

    return steps


def box(make: Callable[[], Any], *keys: str) -> Steps:
    """Open a box, and press keys there."""

    async def steps(stage: Stage) -> None:
        stage.app.push_screen(make())
        await stage.pilot.pause()
        for key in keys:
            await stage.press(key)

    return steps


async def as_at_first(stage: Stage) -> None:
    """Home is not made anew; its lines have the focus."""
    if stage.view.has_class("-cards"):
        await stage.press("v")
    stage.view.query_one(FleetTable).focus()
    await stage.pilot.pause()


def log(*keys: str) -> Steps:
    """Open a log with a hundred lines."""

    async def steps(stage: Stage) -> None:
        queue = stage.source.logs.setdefault((9, "serve", 2), asyncio.Queue())
        await stage.open("log", "9/serve")
        queue.put_nowait("".join(f"line {number}\n" for number in range(100)))
        await queue.join()
        for key in keys:
            await stage.press(key)

    return steps


def playbook(*keys: str) -> Steps:
    """Open the form of a playbook whose plan is longer than the screen."""

    async def steps(stage: Stage) -> None:
        file = Path("long.yaml").resolve()
        noops = [f"  - {{action_id: a{number}, action_type: noop}}\n" for number in range(40)]
        names = "vars:\n  one: a\n  two: b\n  three: c\n"
        file.write_text(f"name: long\n{names}actions:\n{''.join(noops)}")
        stage.app.push_screen(PlaybookView(str(file)))
        await stage.shows("a2")
        for key in keys:
            await stage.press(key)

    return steps


async def a_new_file(stage: Stage) -> None:
    """The folder is not as it was read."""
    Path("new.yaml").unlink(missing_ok=True)
    await stage.open("playbooks")
    await stage.shows("..")
    Path("new.yaml").write_text("")


def long_talk() -> ChatScreen:
    screen = ChatScreen(service(), Echo())
    screen._talk = [Said("user", f"number {number}") for number in range(40)]
    screen.call_after_refresh(screen._draw)
    return screen


def other_log() -> Scene:
    """It cannot be read any more."""

    async def steps(stage: Stage) -> None:
        talker = Echo()
        stage.app.push_screen(ServiceLogScreen(service(), talker))
        await stage.shows("would be here")
        talker.error = NodeError("no route to host", where="alpha")

    return Scene(steps)


WIDE = replace(placed(), nodes=tuple(node(f"node{number}") for number in range(20)))
CARDS = fleet(node("one", *(gpu("one", index) for index in range(8))))

SCENES: dict[type[DOMNode], tuple[Scene, ...]] = {
    View: (Scene(at("transfers")), Scene(at("node"))),
    FleetView: (Scene(as_at_first, troubled()),),
    MachineView: (
        Scene(at("node")),
        Scene(at("node", "ctrl+d")),
        Scene(at("gpu", "ctrl+d")),
    ),
    PlacingView: (Scene(at("models")),),
    ServicesView: (Scene(at("services")),),
    TransfersView: (Scene(at("transfers")),),
    JobsView: (Scene(at("jobs")),),
    JobView: (Scene(at("job", "G")),),
    LogView: (Scene(log("slash", "7", "enter")), Scene(log("left_square_bracket"))),
    EventsView: (Scene(at("events")),),
    InventoryView: (Scene(at("inventory")),),
    PlaybooksView: (Scene(at("playbooks")), Scene(a_new_file)),
    PlaybookView: (Scene(playbook()), Scene(playbook("tab", "pagedown"))),
    LineTable: (Scene(at("jobs", "j", "j")),),
    LogText: (Scene(log("pageup", "pageup")),),
    GpuCards: (Scene(at("fleet", "home", "j", "l"), CARDS, (120, 40)),),
    ModelTable: tuple(Scene(at("models", *keys), WIDE, (120, 40)) for keys in ((), ("L",))),
    Prompt: (Scene(at("jobs", "colon", "e")),),
    ChatLine: (Scene(box(long_talk, "h", "i")),),
    ChatScreen: (Scene(box(long_talk)), Scene(box(long_talk, "pageup"))),
    ChoiceScreen: (Scene(box(lambda: ChoiceScreen("by", ["a", "b", "c"]), "down")),),
    DescribeScreen: (Scene(box(lambda: DescribeScreen("llama", service()))),),
    HelpScreen: (Scene(box(lambda: HelpScreen("Fleet", "What there is.", [], []))),),
    ServiceLogScreen: (other_log(),),
    Tick: (Scene(box(lambda: FormScreen(FORM), "down")),),
    FormScreen: (Scene(box(lambda: FormScreen(FORM))), Scene(box(lambda: FormScreen(FORM), "tab"))),
    PlanScreen: (Scene(box(lambda: PlanScreen(DANGEROUS, Recording()))),),
    NoticeScreen: (Scene(box(lambda: NoticeScreen("failed", "no route to host"))),),
}
