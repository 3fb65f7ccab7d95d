"""SVG, Mermaid and dot: whatever the texts are, the document stays one."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gswarm_tui.playbook.drawing import FORMATS, Step

NASTY = '"] --> x; <script>alert("#1")</script> `**b**` \\n \x1b[31m & ${a.b}'
SVG = "{http://www.w3.org/2000/svg}"


def pair(text: str = "m to node1:disk") -> list[Step]:
    return [
        Step("end", "download", text, ()),
        Step("tidy", "delete", text, ("end",), ("always",), always=True),
    ]


def test_svg() -> None:
    drawn = ElementTree.fromstring(FORMATS["svg"]("two <steps>", pair(NASTY)))
    texts = ["".join(text.itertext()) for text in drawn.iter(f"{SVG}text")]
    assert texts[:2] == ["two <steps>", "end  download"]
    assert [circle.get("class") for circle in drawn.iter(f"{SVG}circle")] == ["step", "always"]
    assert [text for text in texts if "<script>" in text] == [NASTY.replace("\x1b", "�")] * 2
    assert not list(drawn.iter(f"{SVG}script"))


@given(st.text(max_size=40))
def test_svg_takes_any_text(text: str) -> None:
    ElementTree.fromstring(FORMATS["svg"](text, pair(text)))


def test_the_strokes_of_a_line_meet() -> None:
    drawn = ElementTree.fromstring(FORMATS["svg"]("t", pair()))
    path = next(drawn.iter(f"{SVG}path")).get("d", "")
    first, second = (float(c.get("cy", "0")) for c in drawn.iter(f"{SVG}circle"))
    assert f"{first:g}L" in path
    assert path.endswith(f"L21.5 {second - 11:g}")


def test_mermaid() -> None:
    assert (
        FORMATS["mermaid"]("two", pair())
        == """\
---
title: "two"
---
flowchart TD
  n0["end<br/>download<br/>m to node1:disk"]
  n1(["tidy<br/>delete, always<br/>m to node1:disk"])
  n0 --> n1
"""
    )


def test_mermaid_sees_no_text_of_the_playbook_as_its_own() -> None:
    lines = FORMATS["mermaid"]("t", pair(NASTY)).splitlines()
    assert len(lines) == 7
    assert re.fullmatch(r'  n0\["[^"\]<>`*]*<br/>[^"\]<>`*]*<br/>[^"\]<>`*]*"\]', lines[4])
    assert "#34;#93; --#62; x" in lines[4]


def test_dot() -> None:
    assert (
        FORMATS["dot"]("two", pair('say "hi" \\'))
        == """\
digraph "two" {
  node [shape=box, fontname="monospace"]
  "end" [label="end\\ndownload\\nsay \\"hi\\" \\\\"]
  "tidy" [label="tidy\\ndelete, always\\nsay \\"hi\\" \\\\", style=rounded]
  "end" -> "tidy"
}
"""
    )


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_steps_give_the_same_bytes(name: str) -> None:
    assert FORMATS[name]("t", pair()) == FORMATS[name]("t", pair())
