"""Playbooks that are wrong, each with the exact error that a user reads.

Of ``tests/data/playbooks/broken/NAME.yaml``, which has several, it is in ``NAME.txt``;
``THEME/NAME.yaml`` has one, and begins with what is told, see `tests.playbook.broken`.
"""

import time
from pathlib import Path

import pytest

from gswarm_tui.errors import PlaybookError
from gswarm_tui.inventory import Inventory
from gswarm_tui.playbook import load, plan
from tests.playbook.broken import BROKEN as CASES
from tests.playbook.broken import Case, catalogue, told_of

CATALOGUE = catalogue()
LONGEST_S = 10.0
"""Of CPU: far from the hours that a nested or repeated text can take, near on no machine."""


@pytest.mark.parametrize("name", sorted(path.stem for path in CASES.glob("*.yaml")))
def test_the_error_says_all_that_is_wrong_and_where(
    name: str, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CASES)
    with pytest.raises(PlaybookError) as caught:
        plan(load(Path(f"{name}.yaml")), inventory)
    hint = f"\n  hint: {caught.value.hint}" if caught.value.hint else ""
    assert f"{caught.value}{hint}\n" == Path(f"{name}.txt").read_text()


@pytest.mark.parametrize("case", CATALOGUE, ids=lambda case: case.name)
def test_a_mistake_is_told_with_its_place_and_what_to_write(
    case: Case, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(case.path.parent)
    monkeypatch.delenv("GSWARM_TEST_MISSING", raising=False)
    file = Path(case.path.name)
    begun = time.process_time()
    with pytest.raises(PlaybookError) as caught:
        plan(load(file), inventory)
    assert told_of(caught.value, file.name) == case.told
    assert time.process_time() - begun < LONGEST_S


def test_there_are_cases() -> None:
    assert len(list(CASES.glob("*.yaml"))) >= 20
    assert len(CATALOGUE) >= 400


LARGE = {
    "lists in lists": ("[" * 1_000_000 + "]" * 1_000_000, "1:66: nested deeper than 64 levels"),
    "lists by lines": (
        "\n".join("  " * level + "-" for level in range(2000)),
        "66:131: nested deeper than 64 levels",
    ),
    "a long line": ("name: " + "x" * 10_000_000, "1:1: `actions` is missing"),
    "many aliases": (
        f"vars:\n  a: &a [{'x, ' * 1000}]\n  b: [{'*a, ' * 1_000_000}]\nactions: []",
        "3:400007: there are more than 100000 aliases",
    ),
    "17 MB": ("#" * 17_000_000, "is larger than 16 MiB"),
    "open brackets": ("actions: " + "{a: " * 1_000_000, "1:"),
    "actions without end": (
        "actions:\n" + "- {action_id: a, action_type: noop, nothing: 1}\n" * 20_000,
        "3:15: the action_id `a` is there twice, first on line 2",
    ),
}


@pytest.mark.parametrize("name", LARGE)
def test_what_is_large_is_refused_soon(name: str, tmp_path: Path) -> None:
    text, told = LARGE[name]
    (tmp_path / "p.yaml").write_text(text)
    begun = time.process_time()
    with pytest.raises(PlaybookError) as caught:
        plan(load(tmp_path / "p.yaml"), None)
    assert told_of(caught.value, str(tmp_path / "p.yaml"))[0].strip().startswith(told)
    assert time.process_time() - begun < LONGEST_S


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PlaybookError, match="No such file") as caught:
        load(tmp_path / "none.yaml")
    assert caught.value.where == str(tmp_path / "none.yaml")
