"""The controller's disk fills up while a job runs on a real node."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from .lab import Lab, until


@pytest.fixture
def disk(lab: Lab) -> Iterator[Path]:
    """A data directory on a disk of 4 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    folder = lab.site.controller / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_job_whose_disk_is_full_ends_and_is_resumed_when_there_is_room(
    lab: Lab, disk: Path
) -> None:
    go, began = lab.folder / "go", lab.folder / "began"
    wait = f"echo $$ >> {began}; until [ -e {go} ]; do sleep 0.05; done"
    both = [
        {"action_id": name, "action_type": "command", "node": "node1", "argv": ["sh", "-c", script]}
        for name, script in (("one", wait), ("two", f"{wait}; [ -e {go}-on ] || sleep 1000"))
    ]
    last = {"action_id": "last", "action_type": "noop", "dependencies": ["one", "two"]}
    run = lab.start("run", lab.playbook(*both, last), home="small")
    until(lambda: began.exists() and len(began.read_text().split()) == 2, "both commands")
    filling = disk / "filling"
    with filling.open("wb") as file:
        while _write(file.fileno()):
            pass
    go.touch()
    ended = run.end()
    assert ended.code == 1
    assert "the database cannot be written: its disk is full" in ended.stderr
    assert "hint: make room" in ended.stderr
    pids = [int(pid) for pid in began.read_text().split()]
    until(lambda: not any(map(psutil.pid_exists, pids)), "the end of both commands")

    filling.unlink()
    lab.folder.joinpath("go-on").touch()
    resumed = lab.gswarm("job", "resume", "last", home="small")
    assert resumed.code == 0, resumed


def _write(descriptor: int) -> bool:
    try:
        return os.write(descriptor, bytes(4096)) > 0
    except OSError:
        return False
