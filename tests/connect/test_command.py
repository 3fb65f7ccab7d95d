"""The command line of stage 0, as the shells of this machine read it."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gswarm_tui.connect import command
from gswarm_tui.errors import BootstrapError

ASKED = {
    "hash": "0123456789abcdef",
    "built": ["0.1.0", 1],
    "root": "/nowhere/it's $HOME \\ `id`",
    "idle_exit": None,
    "fresh": False,
    "end": None,
    "bridge": False,
    "socket": None,
}
MARKER = ("first", "second")


def run(line: str, home: Path, shell: str = "/bin/sh") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [shell, "-c", line],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "TMPDIR": str(home)},
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("name", ["sh", "bash", "dash", "zsh", "fish", "tcsh", "csh", "ksh"])
def test_every_shell_reads_it_alike(name: str, tmp_path: Path) -> None:
    shell = shutil.which(name)
    if shell is None:
        pytest.skip(f"{name} is not installed")
    done = run(command.stage0(ASKED, marker=MARKER, python=sys.executable), tmp_path, shell)
    assert done.stdout.startswith(b"firstsecondreport "), done
    report = ast.literal_eval(done.stdout.splitlines()[0].partition(b" ")[2].decode())
    assert report["bundle"] is None
    assert report["version"] == list(sys.version_info[:3])
    assert done.stdout.splitlines()[1].startswith(b"failed ")  # there was nothing on stdin
    assert not (tmp_path / ".cache").exists()


@pytest.mark.parametrize("name", ["sh", "bash", "fish", "tcsh"])
@pytest.mark.parametrize("word", ['$HOME `id` "x" *?[a] {b,c} #d ~ (e) <f> &|; %g^', "a  b", ""])
def test_quoted_words_arrive_as_they_are(name: str, word: str) -> None:
    shell = shutil.which(name)
    if shell is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run(
        [shell, "-c", f"exec printf %s {command.quote(word)}"], capture_output=True, check=True
    )
    assert done.stdout.decode() == word


@pytest.mark.parametrize("word", ["it's", "back\\slash", "bang!", "two\nlines", "nul\0"])
def test_what_cannot_be_quoted_is_refused(word: str) -> None:
    with pytest.raises(BootstrapError, match="cannot be passed"):
        command.quote(word)


def test_the_marker_is_not_on_the_command_line() -> None:
    assert "firstsecond" not in command.stage0(ASKED, marker=MARKER, python=None)


def test_a_python_in_the_home_folder(tmp_path: Path) -> None:
    (tmp_path / "my python").symlink_to(sys.executable)
    done = run(command.stage0(ASKED, marker=MARKER, python="~/my python"), tmp_path)
    assert done.stdout.startswith(b"firstsecondreport ")


def test_interpreters_that_do_not_do_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "python-old"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.6.8 && exit\nexit 75\n')
    old.chmod(0o755)
    monkeypatch.setattr(command, "INTERPRETERS", ["/nowhere/python3", str(old)])
    done = run(command.stage0(ASKED, marker=MARKER, python=None), tmp_path)
    assert done.stdout.decode().strip() == f"firstsecondnone \n{old}: Python 3.6.8"


def test_the_first_that_does_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = tmp_path / "shim"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setattr(command, "INTERPRETERS", [str(shim), sys.executable, "/bin/false"])
    done = run(command.stage0(ASKED, marker=MARKER, python=None), tmp_path)
    assert done.stdout.startswith(b"firstsecondreport ")


def test_it_is_short_enough_for_old_shells() -> None:
    assert len(command.stage0(ASKED, marker=MARKER, python=None)) < 16_000
