"""Node patterns and ranges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gswarm_tui.errors import DeviceError
from gswarm_tui.inventory.patterns import Candidates, expand, select, split

CASES = yaml.safe_load((Path(__file__).parents[1] / "data/inventory/patterns.yaml").read_text())

NODES = ["node01", "node02", "node03", "node04"]
FLEET = Candidates(
    names=["edge", *NODES, "cpu1", "cpu2"],
    groups={"a100": NODES, "small": ["cpu1", "cpu2"]},
    labels={
        "edge": {"fast": ""},
        "node01": {"rack": "r1"},
        "node02": {"rack": "r1"},
        "node03": {"rack": "r2", "zone": "east"},
        "node04": {"rack": "r2", "zone": "east"},
        "cpu1": {},
        "cpu2": {},
    },
    hosts={name: name for name in [*NODES, "cpu1", "cpu2"]} | {"edge": "10.0.0.9"},
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["patterns"]))
def test_select(case: dict[str, Any]) -> None:
    if "names" in case:
        assert select(case["patterns"], FLEET) == case["names"]
        return
    with pytest.raises(DeviceError) as caught:
        select(case["patterns"], FLEET)
    assert str(caught.value) == case["error"]
    if "hint" in case:
        assert caught.value.hint == case["hint"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("node1", ["node1"]),
        ("", [""]),
        ("n[08-10]", ["n08", "n09", "n10"]),
        ("n[8-10]", ["n8", "n9", "n10"]),
        ("n[1-2,7, 9]x", ["n1x", "n2x", "n7x", "n9x"]),
        ("r[1-2]n[01-02]", ["r1n01", "r1n02", "r2n01", "r2n02"]),
        ("n[5]", ["n5"]),
        ("n[5-5]", ["n5"]),
    ],
)
def test_expand(text: str, names: list[str]) -> None:
    assert expand(text) == names


@pytest.mark.parametrize("text", ["n[]", "n[1-]", "n[-1]", "n[1-2-3]", "n[²]", "n]1[", "n[[1-2]]"])
def test_no_range(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no range|left open"):
        expand(text)


def test_ranges_do_not_explode() -> None:
    for text in ("n[1-999999999]", "n[1-200][1-200]", "n[0-9]" + "[0-9]" * 40):
        with pytest.raises(ValueError, match="makes more than 10000 names"):
            expand(text)


@given(st.integers(0, 500), st.integers(0, 50), st.integers(1, 5))
def test_a_range_has_every_number_once(first: int, more: int, width: int) -> None:
    names = expand(f"n[{first:0{width}}-{first + more}]")
    assert [int(name[1:]) for name in names] == list(range(first, first + more + 1))
    assert all(len(name) >= width + 1 for name in names)


@given(st.text(alphabet="abn[]0123456789-,*!=: ", max_size=20))
def test_any_text_selects_or_is_refused(text: str) -> None:
    try:
        selected = select(text, FLEET)
    except DeviceError:
        return
    assert selected
    assert set(selected) <= set(FLEET.names)


def test_split() -> None:
    assert split(" a,b  c[1,2] ,d[3, 4] ") == ["a", "b", "c[1,2]", "d[3, 4]"]
    assert split("  ") == []
