"""Playbooks that are wrong, each beside the exact error that a user reads.

A case is ``tests/data/playbooks/broken/NAME.yaml`` with ``NAME.txt``.
"""

from pathlib import Path

import pytest

from gswarm_tui.errors import PlaybookError
from gswarm_tui.inventory import Inventory
from gswarm_tui.playbook import load, plan

CASES = Path(__file__).parents[1] / "data" / "playbooks" / "broken"


@pytest.mark.parametrize("name", sorted(path.stem for path in CASES.glob("*.yaml")))
def test_the_error_says_all_that_is_wrong_and_where(
    name: str, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CASES)
    with pytest.raises(PlaybookError) as caught:
        plan(load(Path(f"{name}.yaml")), inventory)
    hint = f"\n  hint: {caught.value.hint}" if caught.value.hint else ""
    assert f"{caught.value}{hint}\n" == Path(f"{name}.txt").read_text()


def test_there_are_cases() -> None:
    assert len(list(CASES.glob("*.yaml"))) >= 20


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PlaybookError, match="No such file") as caught:
        load(tmp_path / "none.yaml")
    assert caught.value.where == str(tmp_path / "none.yaml")
