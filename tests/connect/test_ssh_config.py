from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from gswarm_tui.connect import ssh_config
from gswarm_tui.connect.ssh_config import HostSettings
from gswarm_tui.errors import UsageError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = tmp_path / ".ssh" / "config"
    config.parent.mkdir()
    monkeypatch.setattr(ssh_config, "default_files", lambda: (config,) if config.is_file() else ())
    return tmp_path


def read(home: Path, text: str = "", host: str = "node1", **options: object) -> HostSettings:
    (home / ".ssh" / "config").write_text(text)
    given = {"user": None, "port": None, **options}
    return ssh_config.read(host, **given)  # type: ignore[arg-type]


def test_without_a_file(home: Path) -> None:
    settings = ssh_config.read("node1", user=None, port=None)
    assert (settings.host, settings.port, settings.jump) == ("node1", 22, None)
    assert settings.user == getpass.getuser()
    assert settings.user_known_hosts[0] == home / ".ssh" / "known_hosts"
    assert not settings.accept_new
    assert settings.key_name == "node1"


def test_a_host_section(home: Path) -> None:
    text = """
    Host node*
      HostName 10.0.0.7
      User them
      Port 2200
      ProxyJump bastion:22
      ConnectTimeout 3
      ServerAliveInterval 5
      Ciphers aes256-ctr
    """
    settings = read(home, text)
    assert (settings.host, settings.user, settings.port) == ("10.0.0.7", "them", 2200)
    assert settings.key_name == "[10.0.0.7]:2200"
    assert settings.fallback_key_name == "10.0.0.7"
    assert settings.jump == "bastion:22"
    assert (settings.connect_timeout, settings.keepalive) == (3, 5)
    assert settings.own_ciphers
    assert settings.target == "-J bastion:22 -p 2200 them@10.0.0.7"
    assert read(home, text, host="other").host == "other"


def test_the_inventory_wins(home: Path) -> None:
    settings = read(home, "User them\nPort 2200\n", user="me", port=22)
    assert (settings.user, settings.port) == ("me", 22)


@pytest.mark.parametrize(
    ("word", "accepts"),
    [("yes", False), ("ask", False), ("accept-new", True), ("no", True), ("off", True)],
)
def test_strict_host_key_checking(home: Path, word: str, accepts: bool) -> None:
    assert read(home, f"StrictHostKeyChecking {word}\n").accept_new is accepts


def test_no_known_hosts_file_is_not_no_check(home: Path) -> None:
    settings = read(home, "UserKnownHostsFile none\n", known_hosts=home / "own")
    assert settings.user_known_hosts == (home / "own",)
    assert not settings.accept_new


def test_known_hosts_files_may_be_named_by_token(home: Path) -> None:
    settings = read(home, "UserKnownHostsFile ~/a %d/b\nHashKnownHosts yes\n")
    assert settings.user_known_hosts == (home / "a", home / "b")
    assert settings.hash_names


def test_an_alias_for_the_key(home: Path) -> None:
    settings = read(home, "Port 2200\nHostKeyAlias cluster\n")
    assert settings.key_name == "cluster"
    assert settings.fallback_key_name is None


def test_match_final_is_read_as_well(home: Path) -> None:
    settings = read(home, "Match final host node1\n  StrictHostKeyChecking accept-new\n")
    assert settings.accept_new


def test_a_malformed_file_is_named_with_its_line(home: Path) -> None:
    with pytest.raises(UsageError, match=r"config line 1"):
        read(home, "Port many\n")
