"""Home: every GPU of every node."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from textual.widgets import OptionList

from gswarm_tui.tui.screens.choice import ChoiceScreen
from gswarm_tui.tui.screens.describe import DescribeScreen
from gswarm_tui.tui.screens.fleet import FleetView
from gswarm_tui.tui.widgets import gpu_cards
from gswarm_tui.tui.widgets.attention_table import AttentionTable
from gswarm_tui.tui.widgets.cells import Cell, pieces
from gswarm_tui.tui.widgets.fleet_table import FleetTable
from gswarm_tui.tui.widgets.gpu_card import card
from gswarm_tui.tui.widgets.gpu_cards import GpuCards
from gswarm_tui.tui.widgets.line_table import LineTable
from gswarm_tui.watch.snapshot import Concern, FleetSnapshot, Gpu, GpuState, Host, Node, NodeState

from .fleets import GB, NOW, fleet, gpu, lost, node, process, racks, showcase, simulated, troubled
from .scenes import OPTIONS, PICTURE, SUBJECTS
from .stage import LARGE, MIDDLE, SIZES, SMALL, Stage, harmless, on_stage

SameAsBefore = Callable[[Stage, str], None]


def names(stage: Stage) -> list[str]:
    """The lines of the fleet from the top: nodes, and groups in brackets."""
    rows = stage.view.query_one(FleetTable).rows
    return [row.node.name if row.node else f"[{row.group}]" for row in rows]


async def choose(stage: Stage, key: str, word: str) -> None:
    """Open a menu and choose a word in it."""
    await stage.press(key)
    options = stage.app.screen.query_one(OptionList)
    options.highlighted = next(i for i, o in enumerate(options.options) if str(o.prompt) == word)
    await stage.press("enter")


async def test_a_node_is_a_line_with_its_gpus_load_and_users() -> None:
    async with on_stage(racks()) as stage:
        assert isinstance(stage.view, FleetView)
        line = stage.line_with("beta")
        for part in ("● up", "████████", "90 %", "76 %", "60 °C", "3.2 kW", "eve"):
            assert part in line
        assert "llama" in stage.line_with("gamma")


async def test_what_is_wrong_has_a_sign_of_its_own() -> None:
    async with on_stage(troubled()) as stage:
        assert "✗?‖!↓z○█" in stage.line_with("● up")
        assert " deaf " in stage.line_with("‖ hung")
        unreachable = [line for line in stage.lines() if line.startswith(" gone")]
        assert "✗ unreachable" in unreachable[0]
        assert "◌ connecting" in stage.line_with(" new")


async def test_what_needs_a_look_is_listed_and_counted() -> None:
    async with on_stage(troubled(), size=LARGE) as stage:
        header = stage.lines()[0]
        assert "2/4 nodes" in header
        assert "  5/16 GPUs" in header
        assert f"⚠ {len(troubled().attention)} to look at" in header
        assert "no route to host" in stage.line_with("✗ unreachable")
        assert "ill:gpu5" in stage.line_with("z held but idle")


async def test_nothing_to_look_at_takes_no_room() -> None:
    async with on_stage(racks()) as stage:
        assert not stage.view.query_one(AttentionTable).display


async def test_few_gpus_are_cards_many_are_lines_and_v_changes_it() -> None:
    few = fleet(node("one", *(gpu("one", i, models=("llama",)) for i in range(4))))
    async with on_stage(few) as stage:
        assert "one:gpu0" in stage.text()
        assert "llama" in stage.text()
        await stage.shows("v Lines")
        await stage.press("v")
        await stage.shows("v Cards")
        assert stage.view.query_one(FleetTable).has_focus
        await stage.press("v")
        assert stage.view.query_one(GpuCards).has_focus
    async with on_stage(racks()) as stage:
        assert not stage.view.query_one(GpuCards).display
    async with on_stage(few, size=(40, 24)) as stage:
        assert not stage.view.query_one(GpuCards).display
    async with on_stage(fleet(node("login"))) as stage:
        await stage.shows("n Group")
        assert "v Cards" not in stage.text()


def mixed() -> FleetSnapshot:
    """A node with GPUs, one that is known to have none, and one that does not answer."""
    return fleet(
        node("one", gpu("one", 0), gpu("one", 1), sampled_at=NOW),
        bare("two"),
        node("gone", state=NodeState.UNREACHABLE, error="no route to host"),
    )


def bare(name: str) -> Node:
    host = Host(cpu_percent=37.0, memory_used_bytes=GB, memory_total_bytes=4 * GB)
    return node(name, sampled_at=NOW, host=replace(host, disk_free_bytes=70 * GB))


async def test_nodes_without_a_card_stand_as_lines_below_the_cards() -> None:
    async with on_stage(mixed(), size=MIDDLE) as stage:
        cards, table = stage.view.query_one(GpuCards), stage.view.query_one(FleetTable)
        assert cards.display
        assert cards.has_focus
        assert [row.node.name for row in table.rows if row.node] == ["two", "gone"]
        assert "no GPU" in stage.line_with(" two ")
        assert "no route to host" in stage.line_with(" gone     ")
        await stage.press("tab")
        assert table.has_focus
        await stage.press("enter")
        assert stage.view.crumb == "Node two"
        await stage.press("escape")
        every = node("two", gpu("two", 0)), node("gone", gpu("gone", 0))
        await stage.push(fleet(mixed().nodes[0], *every))
        assert not table.display
        assert cards.has_focus


async def test_nodes_without_a_card_come_right_after_the_cards() -> None:
    async with on_stage(mixed(), size=(160, 50)) as stage:
        lines = stage.lines()
        bottom = max(number for number, line in enumerate(lines) if "╯" in line or "┛" in line)
        assert "NODE" in lines[bottom + 1]
        assert " two " in lines[bottom + 2]
        await stage.pilot.resize_terminal(80, 14)  # no room for all cards
        await stage.pilot.pause()
        stage.line_with(" two ")
        stage.line_with("Help")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (GpuState.LOST, "✗ lost: the driver has no contact to it"),
        (GpuState.MISSING, "? missing: the inventory expects it, the node has none of that number"),
        (GpuState.SILENT, "‖ its driver does not answer"),
    ],
)
def test_a_card_says_in_a_whole_sentence_what_is_wrong(state: GpuState, said: str) -> None:
    lines = ["".join(piece.text for piece in pieces(line)) for line in card_of(lost("a", 0, state))]
    assert " ".join(" ".join(line[1:-1] for line in lines[1:-1]).split()) == said


def test_what_is_wrong_has_the_same_sign_on_a_card_as_in_a_line() -> None:
    text = str(card_of(gpu("a", 0), Concern.THROTTLED))
    assert "↓ throttled" in text
    assert "z held but idle" in str(card_of(gpu("a", 0), Concern.IDLE))


def card_of(shown: Gpu, concern: Concern | None = None) -> list[Cell]:
    return card(shown, (), concern, chosen=False)


async def test_a_filter_that_leaves_no_gpu_leaves_lines() -> None:
    async with on_stage(mixed(), size=MIDDLE) as stage:
        await stage.press("slash", *"two", "enter")
        table = stage.view.query_one(FleetTable)
        assert table.has_focus
        assert names(stage) == ["two"]
        assert "37 %" in stage.line_with("no GPU")
        await stage.press("escape")
        assert stage.view.query_one(GpuCards).has_focus


async def test_a_node_without_gpus_says_what_it_has() -> None:
    async with on_stage(fleet(bare("one"), bare("two")), size=SMALL) as stage:
        line = stage.line_with(" two ")
        assert "UTIL" not in stage.text()
        assert " no GPU  " in line
        assert line.split()[5:] == ["37", "%", "25", "%", "70.0", "GB", "10.0.0.1"]


async def test_among_nodes_with_gpus_it_says_so_too() -> None:
    async with on_stage(fleet(*racks().nodes, bare("two")), size=SMALL) as stage:
        assert "UTIL" in stage.text()
        assert "no GPU  cpu 37 %  ram 25 %  disk 70.0 GB free" in stage.line_with(" two ")
        await stage.pilot.resize_terminal(200, 60)
        assert "no GPU  " in stage.line_with(" two ")
        assert "DISK FREE" in stage.text()
        assert "cpu 37" not in stage.text()


async def test_a_wide_terminal_has_more_of_each_node() -> None:
    snapshot, history = showcase()
    async with on_stage(snapshot, size=(200, 60), history=history) as stage:
        head = stage.line_with("  UTIL ")
        for title in ("MODELS", "CARD", "CPU", "RAM", "DISK FREE", "NET IN", "NET OUT", "LABELS"):
            assert title in head
        attention = stage.view.query_one(AttentionTable)
        assert len(attention.rows) == attention.size.height - 1  # all can be seen


async def test_what_needs_a_look_takes_no_more_room_beside_than_it_needs() -> None:
    gone = node("gone", state=NodeState.UNREACHABLE, error="no route to host")
    async with on_stage(fleet(*racks().nodes, gone), size=(230, 40)) as stage:
        attention, lines = stage.view.query_one(AttentionTable), stage.view.query_one(FleetTable)
        assert attention.region.right <= lines.region.x
        assert "does not answer: no route to host" in stage.line_with("✗ unreachable")
        assert attention.size.width < 76
        assert lines.size.width >= 150


async def test_a_cursor_that_nobody_moved_stays_at_the_top_while_nodes_answer() -> None:
    first, last = node("one", gpu("one", 0)), node("two", gpu("two", 0), gpu("two", 1))
    async with on_stage(fleet(replace(first, gpus=()), last)) as stage:
        cards = stage.view.query_one(GpuCards)
        assert cards.current is not None
        assert cards.current.node == "two"
        await stage.push(fleet(first, last))
        assert cards.current.node == "one"
        await stage.press("l", "h")
        await stage.push(fleet(node("before", gpu("before", 0)), first, last))
        assert cards.current.node == "one"


async def test_the_cursor_of_the_cards_moves_both_ways() -> None:
    few = fleet(node("one", *(gpu("one", i) for i in range(8))))
    async with on_stage(few) as stage:  # three cards in a line
        cards = stage.view.query_one(GpuCards)
        seen = []
        for key in ("l", "j", "h", "k", "right", "down", "left", "up", "end", "home", "G", "g"):
            await stage.press(key)
            assert cards.current is not None
            seen.append(cards.current.index)
        assert seen == [1, 4, 3, 0, 1, 4, 3, 0, 7, 0, 7, 0]
        await stage.press("l", "enter")
        assert stage.view.crumb == "GPU one:gpu1"


async def test_a_move_of_the_cursor_draws_the_two_cards_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = fleet(*(node(f"n{i:02}", *(gpu(f"n{i:02}", j) for j in range(8))) for i in range(50)))
    drawn: list[str] = []

    def draw(gpu: Gpu, *rest: Any, **options: Any) -> list[Cell]:
        drawn.append(gpu.node)
        return card(gpu, *rest, **options)

    monkeypatch.setattr(gpu_cards, "card", draw)
    async with on_stage(many) as stage:
        await stage.press("v")
        assert 0 < len(drawn) < 40  # those in sight
        drawn.clear()
        await stage.press("l")
        assert len(drawn) == 2
        assert "┏━ n00:gpu1" in stage.text()
        assert stage.text().count("┏") == 1
        await stage.press("G")
        assert "┏━ n49:gpu7" in stage.text()
        await stage.press("g")
        assert "┏━ n00:gpu0" in stage.text()
        assert stage.text().count("┏") == 1
        assert len(drawn) < 80


async def test_lines_are_sorted_by_a_column_and_back() -> None:
    async with on_stage(racks()) as stage:
        await choose(stage, "o", "util")
        assert names(stage) == ["alpha", "gamma", "beta"]
        assert "UTIL▲" in stage.text()
        await choose(stage, "o", "util")
        assert names(stage) == ["beta", "gamma", "alpha"]
        await choose(stage, "o", "power")
        assert names(stage)[-1] == "gamma"
        await choose(stage, "o", "as it comes")
        assert names(stage) == ["alpha", "beta", "gamma"]


async def test_what_is_not_known_is_last_whichever_way_round() -> None:
    async with on_stage(troubled()) as stage:
        await choose(stage, "o", "util")
        assert names(stage)[0] == "ill"
        await choose(stage, "o", "util")
        assert names(stage)[0] == "ill"


async def test_a_menu_is_left_without_a_change() -> None:
    async with on_stage(racks()) as stage:
        await stage.press("o", "j", "k", "escape")
        assert names(stage) == ["alpha", "beta", "gamma"]
        await stage.press("n", "escape")
        assert names(stage) == ["alpha", "beta", "gamma"]


@pytest.mark.parametrize("size", [(1, 1), (4, 2), (20, 5)])
async def test_a_choice_in_a_pane_that_is_next_to_nothing(size: tuple[int, int]) -> None:
    """tmux can squeeze a pane to a column; nothing has to be readable there, nor to end."""
    async with on_stage(racks(), size=size) as stage:
        await stage.press("o")
        assert isinstance(stage.app.screen, ChoiceScreen)


async def test_nodes_are_grouped_by_a_label_and_groups_fold() -> None:
    async with on_stage(racks()) as stage:
        await choose(stage, "n", "label:rack")
        assert names(stage) == ["[r1]", "alpha", "gamma", "[r2]", "beta"]
        assert "by label:rack" in stage.lines()[1]
        assert "16 GPUs" in stage.line_with("▾ r1")
        await choose(stage, "o", "power")
        assert names(stage) == ["[r1]", "alpha", "gamma", "[r2]", "beta"]
        await stage.press("home", "enter")
        assert names(stage) == ["[r1]", "[r2]", "beta"]
        assert "▸ r1" in stage.text()
        await stage.press("enter")
        assert len(names(stage)) == 5


async def test_a_node_is_in_the_group_of_each_of_its_users_with_their_gpus() -> None:
    shared = node("one", gpu("one", 0), gpu("one", 1, processes=(process("eve"),)))
    async with on_stage(fleet(shared, *racks().nodes)) as stage:
        await choose(stage, "n", "user")
        assert names(stage) == ["[ana]", "one", "alpha", "gamma", "[eve]", "one", "beta"]
        lines = [line for line in stage.lines() if line.startswith(" one")]
        assert "▅·" in lines[0]
        assert "·▅" in lines[1]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("util<20", ["alpha"]),
        ("user=eve", ["beta"]),
        ("!user=eve", ["alpha", "gamma"]),
        ("llama", ["gamma"]),
        ("label:rack=r1 util>20", ["gamma"]),
        ("power>500 user=eve", []),
    ],
)
async def test_the_filter_knows_fields(text: str, kept: list[str]) -> None:
    async with on_stage(racks()) as stage:
        await stage.press("slash")
        await stage.type(text)
        assert names(stage) == kept  # already while typing
        await stage.press("enter")
        assert names(stage) == kept
        assert f"filter: {text}" in stage.lines()[1]
        if kept:
            assert stage.view.query_one(FleetTable).has_focus
        else:
            assert "nothing fits the filter; Esc takes it away" in stage.text()
        await stage.press("escape")
        assert len(names(stage)) == 3


async def test_a_filter_that_leaves_no_card_is_named_and_how_to_take_it_away() -> None:
    async with on_stage(fleet(node("one", gpu("one", 0)))) as stage:
        assert stage.view.query_one(GpuCards).display
        await stage.press("v", "v", "slash")
        await stage.type("util>90")
        assert "no GPU fits the filter `util>90`; Esc takes it away" in stage.text()
        await stage.type("5")
        assert "no GPU fits the filter `util>905`; Esc takes it away" in stage.text()
        await stage.press("enter", "escape")
        assert "no GPU fits" not in stage.text()
        await stage.push(fleet())
        stage.line_with("no GPU fits  ")


async def test_a_filter_that_is_none_says_so_and_the_last_good_one_counts() -> None:
    async with on_stage(racks()) as stage:
        await stage.press("slash")
        await stage.type("user=eve")
        await stage.type(" !")
        assert "✗ `!` needs a word after it" in stage.lines()[1]
        assert names(stage) == ["beta"]
        await stage.press("backspace")
        await stage.type("utl>3")
        assert stage.lines()[1].rstrip().endswith("✗ there is no field `utl`; did you mean `util`?")
        await stage.press("enter")
        stage.line_with("the fields are card, clock, command, cpu,")
        await stage.press("escape")
        assert "the fields are" not in stage.text()
        assert names(stage) == ["alpha", "beta", "gamma"]


async def test_how_many_fit_and_how_busy_they_are_is_said_and_only_they_are_looked_at() -> None:
    async with on_stage(troubled()) as stage:
        every = len(stage.view.query_one(AttentionTable).rows)
        await stage.press("slash")
        await stage.type("node = ill")
        gpus = [gpu for each in troubled().nodes for gpu in each.gpus]
        ill = [gpu.util_percent for gpu in gpus if gpu.node == "ill"]
        known = [load for load in ill if load is not None]
        busy = f"{sum(known) / len(known):.0f} % busy"
        assert f"{len(ill)} of {len(gpus)} GPUs fit, {busy}" in stage.lines()[1]
        looked_at = stage.view.query_one(AttentionTable).rows
        assert {each.node for each in looked_at} == {"ill"}
        assert 0 < len(looked_at) < every
        await stage.press("escape")
        assert "fit" not in stage.lines()[1]
        assert len(stage.view.query_one(AttentionTable).rows) == every


async def test_the_title_of_the_columns_to_sort_by_is_whole() -> None:
    async with on_stage(racks()) as stage:
        await stage.press("o")
        stage.line_with("Sort by (again turns it round)")


async def test_what_stands_beside_the_nodes_takes_no_column_from_models_and_labels() -> None:
    async with on_stage(simulated()[0], size=(300, 60)) as stage:
        lines = [line for line in stage.lines() if " ● up " in line]
        assert "WRONG" not in stage.lines()[2]
        assert any("qwen2.5-vl-7b, bge-m3" in line for line in lines)
        assert all("role=" in line and "…" not in line.split("/s  rack=")[1] for line in lines)
        await stage.pilot.resize_terminal(225, 60)
        await stage.pilot.pause()
        assert any("WRONG" in line for line in stage.lines()[2:20])


async def test_how_many_are_marked_is_said() -> None:
    async with on_stage(racks()) as stage:
        await stage.press("space", "space")
        assert "2 marked" in stage.lines()[1]
        await stage.press("ctrl+@")
        assert "3 marked" in stage.lines()[1]
        await stage.push(fleet(*racks().nodes[:2]))
        assert "2 marked" in stage.lines()[1]
        await stage.press("ctrl+@")
        assert "marked" not in stage.lines()[1]


async def test_the_gpus_of_a_node_that_does_not_answer_are_counted_on_both_sides() -> None:
    gone = node("gone", state=NodeState.UNREACHABLE, gpu_count=8)
    async with on_stage(fleet(*racks().nodes, gone)) as stage:
        every = 8 + sum(len(each.gpus) for each in racks().nodes)
        await stage.press("slash", *"gone")
        assert f"8 of {every} GPUs fit" in stage.lines()[1]
        await stage.press("escape", "slash", *"!gone")
        assert f"{every - 8} of {every} GPUs fit" in stage.lines()[1]


async def test_a_filter_hides_what_is_marked_and_takes_no_mark() -> None:
    async with on_stage(racks()) as stage:
        await stage.press("space", "space")  # alpha and beta
        await stage.press("slash", *"node=beta")
        assert "2 marked, 1 hidden" in stage.lines()[1]
        await stage.press("enter", "d")
        assert "name: beta" in stage.text()
        assert "name: alpha" not in stage.text()
        await stage.press("escape", "escape")
        assert "2 marked " in stage.lines()[1]
        await stage.push(fleet(*racks().nodes[1:]))
        assert "1 marked " in stage.lines()[1]


async def test_a_node_in_several_groups_is_marked_once_and_a_heading_never() -> None:
    shared = node("both", gpu("both", 0), gpu("both", 1, processes=(process("eve"),)))
    async with on_stage(fleet(shared, *racks().nodes), size=LARGE) as stage:
        await choose(stage, "n", "user")
        table = stage.view.query_one(FleetTable)
        assert len(table.rows) == 2 + 5  # two headings, and one node in both groups
        await stage.press("g", "space")
        assert "marked" not in stage.lines()[1]
        await stage.press("ctrl+@")
        assert "4 marked " in stage.lines()[1]
        assert len(table.marked) == 4
        await stage.press("g", "enter")
        assert "4 marked, 2 hidden" in stage.lines()[1]


async def test_why_there_is_no_shell_is_said() -> None:
    async with on_stage(racks(), no_shell="the demo has no machines to log in to") as stage:
        await stage.press("s")
        assert "the demo has no machines to log in to" in stage.text()
        await stage.press("enter")
        await stage.open("node", "alpha")
        await stage.press("s")
        assert "the demo has no machines to log in to" in stage.text()


async def test_the_focus_comes_back_from_the_filter_and_the_command() -> None:
    async with on_stage(troubled()) as stage:
        for key in ("slash", "colon"):
            await stage.press(key, "escape")
            assert stage.view.query_one(FleetTable).has_focus
        await stage.press("a", "slash", "escape")
        assert stage.view.query_one(AttentionTable).has_focus


async def test_the_cursor_stays_on_its_node() -> None:
    first = racks()
    async with on_stage(first) as stage:
        await stage.press("j", "j")
        reordered = fleet(*reversed(first.nodes))
        await stage.push(reordered)
        table = stage.view.query_one(FleetTable)
        assert table.current is not None
        assert table.current.node is not None
        assert table.current.node.name == "gamma"
        assert table.cursor == 0


async def test_enter_goes_in_and_escape_comes_back() -> None:
    async with on_stage(racks()) as stage:
        await stage.press("j", "enter")
        assert stage.lines()[1].strip() == "Fleet › Node beta"
        await stage.press("j", "enter")
        assert stage.lines()[1].strip() == "Fleet › Node beta › GPU beta:gpu1"
        await stage.press("escape", "escape")
        assert stage.lines()[1].strip() == "Fleet"
        await stage.press("escape")
        assert isinstance(stage.view, FleetView)


async def test_a_goes_to_what_needs_a_look_and_enter_from_there() -> None:
    async with on_stage(troubled()) as stage:
        table = stage.view.query_one(AttentionTable)
        await stage.press("a")
        assert table.has_focus
        await stage.press("enter")
        assert stage.view.crumb == "Node gone"
        await stage.press("escape", "end", "enter")
        assert stage.view.crumb == "GPU ill:gpu5"
        await stage.press("escape", "a")
        assert not table.has_focus


async def test_d_tells_all_of_a_node_as_yaml() -> None:
    async with on_stage(racks()) as stage:
        await stage.press("j", "d")
        assert isinstance(stage.app.screen, DescribeScreen)
        assert "name: beta" in stage.text()
        await stage.press("d")
        assert isinstance(stage.app.screen, FleetView)


async def test_s_leaves_the_screen_to_a_shell_on_the_node() -> None:
    asked: list[str] = []

    def shell(name: str) -> list[str]:
        asked.append(name)
        return ["false"]

    async with on_stage(racks(), shell=shell) as stage:
        stage.app.suspend = nullcontext  # type: ignore[method-assign, assignment]
        await stage.press("j", "s")
        assert asked == ["beta"]
        assert stage.notices() == []
        await stage.push(fleet())
        await stage.press("s")
        assert asked == ["beta"]


async def test_a_click_moves_the_cursor_and_another_one_goes_in() -> None:
    async with on_stage(racks()) as stage:
        await stage.pilot.click(FleetTable, offset=(5, 2))
        assert stage.view.query_one(FleetTable).cursor == 1
        await stage.press("k", "j")
        await stage.pilot.click(FleetTable, offset=(5, 2))
        assert stage.view.crumb == "Fleet"  # where the keys have led is not clicked yet
        await stage.pilot.click(FleetTable, offset=(5, 2))
        await stage.pilot.pause()
        assert stage.view.crumb == "Node beta"


async def test_the_mouse_goes_into_every_table_by_a_second_click() -> None:
    async with on_stage(PICTURE, size=(120, 50), **OPTIONS) as stage:
        for word in ("models", "model", "services", "transfers", "jobs", "job", "events"):
            await stage.open(word, SUBJECTS.get(word))
            there, table = stage.app.screen, stage.view.query_one(LineTable)
            await stage.pilot.click(table, offset=(5, 1))
            assert stage.app.screen is there, word
            await stage.pilot.click(table, offset=(5, 1))
            await stage.pilot.pause()
            assert stage.app.screen is not there, word
            await stage.press("escape")


async def test_the_mouse_goes_into_cards_by_a_second_click() -> None:
    async with on_stage(fleet(node("one", gpu("one", 0), gpu("one", 1)))) as stage:
        await stage.pilot.click(GpuCards, offset=(5, 1))
        assert stage.view.crumb == "Fleet"
        await stage.pilot.click(GpuCards, offset=(5, 1))
        await stage.pilot.pause()
        assert stage.view.crumb == "GPU one:gpu0"


async def test_help_has_the_keys_and_the_signs() -> None:
    async with on_stage(racks()) as stage:
        await stage.press("question_mark")
        for word in ("Sort", "Group", "throttled", "Filter"):
            assert word in stage.text()


async def test_nothing_is_known_yet() -> None:
    async with on_stage(FleetSnapshot(0.0)) as stage:
        assert "0/0 nodes" in stage.text()
        for key in ("v", "enter", "d", "a", "v", "enter", "d", "j", "k", "end"):
            await stage.press(key)
        assert isinstance(stage.view, FleetView)


async def test_sixteen_gpus_have_room() -> None:
    large = node("big", *(gpu("big", i, 100.0) for i in range(16)))
    async with on_stage(fleet(large), size=SMALL) as stage:
        assert "█" * 16 in stage.line_with("big")


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_hostile_names_are_harmless(size: tuple[int, int]) -> None:
    snapshot, history = simulated(6, hostile=True)
    async with on_stage(snapshot, size=size, history=history) as stage:
        for keys in ((), ("v",), ("v", "n", "end", "enter"), ("d",)):
            await stage.press(*keys)
            assert harmless(stage.strips())


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_it_looks_as_before(size: tuple[int, int], same_as_before: SameAsBefore) -> None:
    snapshot, history = showcase()
    async with on_stage(snapshot, size=size, history=history) as stage:
        same_as_before(stage, f"fleet-{size[0]}x{size[1]}")


async def test_cards_look_as_before(same_as_before: SameAsBefore) -> None:
    snapshot, history = showcase()
    snapshot = replace(snapshot, nodes=snapshot.nodes[:1])
    async with on_stage(snapshot, size=MIDDLE, history=history) as stage:
        same_as_before(stage, "fleet-cards")
