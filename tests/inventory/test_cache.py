"""What came of reading an inventory is kept, and used for as long as the file says the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gswarm_tui import inventory
from gswarm_tui.errors import InventoryError
from gswarm_tui.home import Home
from gswarm_tui.inventory import cache, reading

EVERYTHING = """
defaults: {user: ana, identity: ~/.ssh/key}
groups:
  lab: {hosts: ["n[1-3]"], labels: {rack: r1}, port: 2222}
nodes:
  n1:
    host: 10.0.0.1
    capabilities: {gpus: [gpu0, gpu2], storage: {disk: 1TB}}
    engines: {vllm: {python: /opt/vllm/bin/python}, mine: {command: serve --port}}
  n2: {connection: local, simulate: {gpus: 2, faults: [{gpu: 1, kind: lost}]}}
  n4: {identity: keys/other, data_address: 10.1.0.4, labels: [spare], capabilities: {gpus: 0}}
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.root.mkdir()
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "inventory.yaml"
    path.write_text(EVERYTHING)
    return path


@pytest.fixture
def times_read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read, and not only looked up."""
    read: list[Path] = []

    def counting(path: Path) -> inventory.Inventory:
        read.append(path)
        return reading.read(path)

    monkeypatch.setattr(cache, "_read_anew", counting)
    return read


def test_what_is_kept_is_what_was_read(file: Path, home: Home, times_read: list[Path]) -> None:
    first, second = inventory.load(file, home=home), inventory.load(file, home=home)
    assert times_read == [file]
    assert first == second == reading.read(file)
    for name, node in first.nodes.items():
        assert repr(second.nodes[name]) == repr(node)  # tuples and paths, too


def test_another_text_is_read(file: Path, home: Home, times_read: list[Path]) -> None:
    inventory.load(file, home=home)
    file.write_text("nodes: {other: {host: 10.0.0.9}}")
    assert list(inventory.load(file, home=home).nodes) == ["other"]
    assert len(times_read) == 2
    assert len(list(home.inventories.iterdir())) == 1


def test_another_home_of_the_user_is_another_key(
    file: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for user in ("/home/ana", "/home/eve"):
        monkeypatch.setenv("HOME", user)
        key = inventory.load(file, home=home).nodes["n1"].identity
        assert str(key) == f"{user}/.ssh/key"


def test_mistakes_are_told_each_time(file: Path, home: Home) -> None:
    file.write_text("nodes: {a: {hots: b}}")
    for _ in range(2):
        with pytest.raises(InventoryError, match="hots"):
            inventory.load(file, home=home)


def test_a_name_that_is_no_text(tmp_path: Path, home: Home, times_read: list[Path]) -> None:
    folder = tmp_path / os.fsdecode(b"d\xff")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this filesystem has no such names")
    (folder / "inventory.yaml").write_text(EVERYTHING)
    first, second = (inventory.load(folder / "inventory.yaml", home=home) for _ in range(2))
    assert first == second
    assert len(times_read) == 1


def test_what_was_kept_long_ago_goes(file: Path, home: Home) -> None:
    inventory.load(file, home=home)
    (old,) = home.inventories.iterdir()
    os.utime(old, (0, 0))
    inventory.load(file.rename(file.with_name("other.yaml")), home=home)
    assert len(list(home.inventories.iterdir())) == 1
    assert not old.exists()


def test_a_full_disk_leaves_nothing(
    file: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(os, "rename", refuse)
    assert "n1" in inventory.load(file, home=home).nodes
    assert not any(home.inventories.iterdir())


@pytest.mark.parametrize("kept", ["", "{", "[" * 9999, "[]", "{}", '{"made_from": 1}'])
def test_what_is_kept_and_broken_is_of_no_use(
    file: Path, home: Home, kept: str, times_read: list[Path]
) -> None:
    inventory.load(file, home=home)
    (place,) = home.inventories.iterdir()
    place.write_text(kept)
    assert list(inventory.load(file, home=home).nodes) == ["n1", "n2", "n4", "n3"]
    assert len(times_read) == 2


def test_nothing_is_made_where_there_is_no_data_directory(file: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "none")
    assert "n1" in inventory.load(file, home=home).nodes
    assert not home.root.exists()
