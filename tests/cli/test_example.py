from __future__ import annotations

from pathlib import Path

import pytest

from gswarm_tui.cli import example

from .conftest import Command


@pytest.fixture(params=["checkout", "wheel"])
def installed(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installation with one playbook, laid out as in a checkout or as in a wheel."""
    package = tmp_path / "installed" / "gswarm_tui"
    base = package.parent if request.param == "checkout" else package / "examples"
    (base / "playbooks").mkdir(parents=True)
    (base / "playbooks" / "quickstart.yaml").write_text("name: quickstart\n")
    (base / "inventory.example.yaml").write_text("nodes: {}\n")
    monkeypatch.setattr(example, "_PACKAGE", package)


@pytest.mark.usefixtures("installed")
def test_examples_are_written_once(gswarm: Command, tmp_path: Path) -> None:
    ended = gswarm("example", "--output", "out")
    assert ended.out.splitlines() == ["out/quickstart.yaml", "out/inventory.example.yaml"]
    assert "try: gswarm run out/quickstart.yaml --check" in ended.err
    assert (tmp_path / "out" / "quickstart.yaml").read_text() == "name: quickstart\n"
    again = gswarm("example", "--output", "out", "--json").document
    assert (again["written"], len(again["unchanged"])) == ([], 2)


@pytest.mark.usefixtures("installed")
def test_a_file_of_the_users_is_overwritten_by_force_only(gswarm: Command, tmp_path: Path) -> None:
    mine = tmp_path / "examples" / "quickstart.yaml"
    mine.parent.mkdir()
    mine.write_text("mine")
    refused = gswarm("example")
    assert refused.code == 1
    assert "there are other files already: quickstart.yaml" in refused.err
    assert (mine.read_text(), list(mine.parent.iterdir())) == ("mine", [mine])
    assert gswarm("example", "--force").code == 0
    assert mine.read_text() == "name: quickstart\n"


@pytest.mark.usefixtures("installed")
def test_a_folder_that_can_not_be_written(gswarm: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = gswarm("example", "--output", "file/x")
    assert (ended.code, ended.err.startswith("error: file/x: the examples cannot")) == (1, True)
