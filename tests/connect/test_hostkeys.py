from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from gswarm_tui.connect.hostkeys import Verifier
from gswarm_tui.connect.ssh_config import HostSettings
from gswarm_tui.errors import HostKeyError

KEY, OTHER = (asyncssh.generate_private_key("ssh-ed25519").convert_to_public() for _ in range(2))


def public(key: asyncssh.SSHKey) -> str:
    return " ".join(key.export_public_key().decode().split()[:2])


@pytest.fixture
def settings(tmp_path: Path) -> HostSettings:
    return HostSettings(
        files=(),
        host="Node1.example.org",
        user="me",
        port=2222,
        key_alias=None,
        jump=None,
        user_known_hosts=(tmp_path / "known_hosts",),
        global_known_hosts=(tmp_path / "global",),
        accept_new=False,
        hash_names=False,
        connect_timeout=None,
        keepalive=None,
        own_ciphers=False,
    )


def judge(settings: HostSettings, key: asyncssh.SSHKey = KEY) -> bool:
    """What asyncssh makes of it: trusted keys first, and then the question."""
    verifier = Verifier("node1", settings)
    keys, _, revoked = verifier.trusted("ignored", "10.0.0.1", 1)
    if key in revoked:
        return False
    return key in keys or verifier.validate_host_public_key("ignored", "10.0.0.1", 1, key)


def say(settings: HostSettings, key: asyncssh.SSHKey = KEY) -> HostKeyError:
    verifier = Verifier("node1", settings)
    assert not verifier.validate_host_public_key("", "", 1, key)
    return verifier.error("asyncssh's words")


@pytest.mark.parametrize(
    ("line", "trusted"),
    [
        ("[node1.example.org]:2222 {key}", True),
        ("node1.example.org {key}", True),  # known without a port is good for every port
        ("other,[node1.example.org]:2222 {key}", True),
        ("[*.example.org]:2222 {key}", True),
        ("[node1.example.org]:2222 {other}", False),
        ("[node1.example.org]:2200 {key}", False),
        ("10.0.0.1 {key}", False),  # the address alone is not the host
        ("@revoked * {key}\n[node1.example.org]:2222 {key}", False),
        ("nonsense\n\n# comment\n@strange x\n[node1.example.org]:2222 {key}", True),
        ("", False),
    ],
)
def test_known_hosts(settings: HostSettings, line: str, trusted: bool) -> None:
    text = line.format(key=public(KEY), other=public(OTHER))
    settings.user_known_hosts[0].write_text(text + "\n")
    assert judge(settings) is trusted


def test_the_systems_file_counts_too(settings: HostSettings) -> None:
    settings.global_known_hosts[0].write_text(f"node1.example.org {public(KEY)}\n")
    assert judge(settings)


def test_an_alias_is_the_name(settings: HostSettings) -> None:
    settings.user_known_hosts[0].write_text(f"cluster {public(KEY)}\n")
    assert judge(replace(settings, key_alias="cluster"))
    assert not judge(settings)


def test_hashed_names_as_openssh_writes_them(settings: HostSettings) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    path = settings.user_known_hosts[0]
    path.write_text(f"[node1.example.org]:2222 {public(KEY)}\n")
    subprocess.run(["ssh-keygen", "-H", "-f", path], check=True, capture_output=True)
    assert "node1" not in path.read_text()
    assert judge(settings)
    assert not judge(replace(settings, host="node2.example.org"))


def test_an_unknown_key_is_shown_with_the_line_that_adds_it(settings: HostSettings) -> None:
    error = say(settings)
    assert KEY.get_fingerprint() in error.message
    assert "unknown" in error.message
    assert f"ssh-keyscan -p 2222 Node1.example.org >> {settings.user_known_hosts[0]}" in str(
        error.hint
    )


def test_a_changed_key_is_shown_with_the_line_that_removes_the_old(settings: HostSettings) -> None:
    settings.user_known_hosts[0].write_text(f"[node1.example.org]:2222 {public(OTHER)}\n")
    error = say(replace(settings, accept_new=True))
    assert "has changed" in error.message
    assert str(settings.user_known_hosts[0]) in error.message
    assert "ssh-keygen -R '[node1.example.org]:2222' -f" in str(error.hint)


def test_behind_a_jump_host_ssh_itself_adds_the_key(settings: HostSettings) -> None:
    error = say(replace(settings, jump="bastion"))
    assert "ssh -J bastion -p 2222 me@Node1.example.org true" in str(error.hint)


@pytest.mark.parametrize("before", [None, "", "x ssh-ed25519 AAAA", "x ssh-ed25519 AAAA\n"])
@pytest.mark.parametrize("hashed", [False, True])
def test_a_new_key_is_written_down(
    settings: HostSettings, before: str | None, hashed: bool
) -> None:
    path = settings.user_known_hosts[0]
    if before is not None:
        path.write_text(before)
    settings = replace(settings, accept_new=True, hash_names=hashed)
    verifier = Verifier("node1", settings)
    assert verifier.validate_host_public_key("", "", 1, KEY)
    verifier.remember()
    verifier.remember()  # another connection was as fast
    lines = path.read_text().splitlines()
    assert lines[: 1 if before else 0] == ([before.strip()] if before else [])
    assert len(lines) == (2 if before else 1)
    assert ("node1" in lines[-1]) is not hashed
    assert judge(replace(settings, accept_new=False))
    assert not judge(settings, OTHER)


def test_of_two_new_keys_at_once_the_second_is_refused(settings: HostSettings) -> None:
    settings = replace(settings, accept_new=True)
    first, second = Verifier("node1", settings), Verifier("node1", settings)
    assert first.validate_host_public_key("", "", 1, KEY)
    assert second.validate_host_public_key("", "", 1, OTHER)
    first.remember()
    with pytest.raises(HostKeyError, match="has changed"):
        second.remember()


def test_a_known_hosts_that_cannot_be_written(settings: HostSettings, tmp_path: Path) -> None:
    blocked = tmp_path / "file" / "known_hosts"
    blocked.parent.write_text("not a folder")
    verifier = Verifier("node1", replace(settings, accept_new=True, user_known_hosts=(blocked,)))
    assert verifier.validate_host_public_key("", "", 1, KEY)
    with pytest.raises(HostKeyError, match="cannot be written"):
        verifier.remember()


def test_a_file_that_changed_is_read_again(settings: HostSettings) -> None:
    path = settings.user_known_hosts[0]
    path.write_text(f"[node1.example.org]:2222 {public(OTHER)}\n")
    assert not judge(settings)
    path.write_text(f"[node1.example.org]:2222 {public(KEY)}\n")
    os.utime(path, (1, 1))
    assert judge(settings)
