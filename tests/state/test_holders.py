"""How a process that is in the way is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gswarm_tui.state.holders import NOBODY_KNOWN, named

WAIT = "import sys; print(flush=True); sys.stdin.read()"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-u", "folder/wait.py"], " wait.py"),
        (["-m", "wait"], " -m wait"),
        (["-c", WAIT], ""),
        (["-X", "dev", "folder/wait.py"], ""),
    ],
)
def test_a_process_is_named_without_its_arguments(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "folder").mkdir()
    for script in (tmp_path / "wait.py", tmp_path / "folder" / "wait.py"):
        script.write_text(WAIT)
    argv = [sys.executable, *arguments, "--token", "hf_secret"]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, cwd=tmp_path, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()  # just begun, a process has no arguments yet
        name = named(process.pid)
    program = name.removeprefix(f"process {process.pid} (python").removesuffix(")")
    assert program.lstrip("0123456789.") == said


def test_a_process_that_is_gone_is_not_named() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert named(gone.pid) == named(-1) == NOBODY_KNOWN
