"""Steps in a terminal."""

from __future__ import annotations

from gswarm_tui.playbook.drawing import Step, lanes

DIAMOND = [
    Step("fetch", "download", "m to node1:disk", ()),
    Step("left", "copy", "m to node2:disk", ("fetch",)),
    Step("right", "copy", "m to node3:disk", ("fetch",)),
    Step("done", "noop", "says so", ("left", "right")),
    Step("tidy", "delete", "m from node1:disk", ("done",), ("always",), always=True),
]


def test_a_diamond() -> None:
    assert (
        lanes.draw(DIAMOND, width=80)
        == """\
●    fetch  download
├─╮  m to node1:disk
● │  left  copy
│ │  m to node2:disk
│ ●  right  copy
├─╯  m to node3:disk
●  done  noop
│  says so
◆  tidy  delete  always
   m from node1:disk"""
    )


def test_a_terminal_without_these_signs_gets_plain_ones() -> None:
    drawn = lanes.draw(DIAMOND, width=80, ascii_only=True)
    assert drawn.isascii()
    assert "*  tidy  delete  always" in drawn


def test_text_is_folded_beside_the_lanes_and_never_cut() -> None:
    long = Step("long", "command", " ".join(f"word{i}" for i in range(30)), ())
    after = Step("after", "noop", "nothing", ("long",))
    lines = lanes.draw([long, after], width=40).splitlines()
    assert max(map(len, lines)) <= 40
    assert [line[:3] for line in lines] == ["●  "] + ["│  "] * 6 + ["●  ", "   "]
    assert " ".join(line[3:] for line in lines[1:7]) == long.summary


def test_what_steers_a_terminal_is_not_printed() -> None:
    drawn = lanes.draw([Step("a", "noop", "red \x1b[31m \x00 text", ())], width=80)
    assert "\x1b" not in drawn
    assert "\x00" not in drawn


def test_nothing_is_drawn_of_nothing() -> None:
    assert lanes.draw([], width=80) == ""
