"""The data directory: which one is meant, and when it is made."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gswarm_tui import home as home_module
from gswarm_tui.errors import StateError
from gswarm_tui.home import Home, locate


def test_which_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    moved = {"GSWARM_HOME": "/elsewhere"}
    assert locate(environ={}).root == tmp_path / ".gswarm"
    assert locate(environ={"GSWARM_HOME": ""}).root == tmp_path / ".gswarm"
    assert locate(environ=moved).root == Path("/elsewhere")
    assert locate(Path("~/data"), environ=moved).root == tmp_path / "data"
    assert locate(Path("data"), environ=moved).root == tmp_path / "data"


def test_the_cache_is_the_users_own_wherever_the_data_is(tmp_path: Path) -> None:
    moved = {"GSWARM_HOME": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert locate(environ=moved).cache == tmp_path / "cache" / "gswarm"
    (tmp_path / "blocked").write_text("")
    blocked = {"GSWARM_HOME": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "blocked")}
    assert locate(environ=blocked).cache == tmp_path / "data" / "cache"


def test_nothing_is_made_before_it_is_asked_for(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "home")
    assert home.config == home.root / "config.yaml"
    assert home.inventory == home.root / "inventory.yaml"
    assert not home.root.exists()
    assert home.database == home.root / "gswarm.db"
    assert home.known_hosts == home.root / "known_hosts"
    assert list(home.root.iterdir()) == []
    for folder in (home.root, home.logs, home.cache):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_existing_folder_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    assert Home(tmp_path).logs.is_dir()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750


def test_a_file_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("")
    with pytest.raises(StateError) as caught:
        _ = Home(tmp_path).logs
    assert str(caught.value) == f"{tmp_path / 'logs'}: is a file, not a folder"
    assert caught.value.hint == "name a folder of yours with --data-dir or $GSWARM_HOME"
    with pytest.raises(StateError, match="cannot be made: Not a directory"):
        _ = Home(tmp_path / "logs" / "home").database


def test_not_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may write anywhere, so what the kernel would answer an ordinary user is put in its place.
    monkeypatch.setattr(home_module.os, "access", lambda path, mode: False)
    with pytest.raises(StateError) as caught:
        _ = Home(tmp_path).database
    assert str(caught.value) == f"{tmp_path}: the data directory is not writable"
