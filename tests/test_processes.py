"""Which process is meant: by the boot, its ticks and its namespace; never by the clock."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, replace

import psutil
import pytest

from gswarm_tui.processes import Process


def test_this_one_lives_and_is_read_again() -> None:
    this = Process.this()
    assert this.is_alive
    assert this.is_here
    assert Process.from_dict(asdict(this)) == this


def test_a_clock_that_is_set_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    this = Process.this()
    monkeypatch.setattr("psutil.boot_time", lambda: 7.0)
    monkeypatch.setattr("time.time", lambda: 7.0)
    assert this.is_alive


def test_another_one_with_its_number_is_another_one() -> None:
    this = Process.this()
    assert not replace(this, start_time=this.start_time - 1).is_alive


def test_one_of_another_boot_is_gone_and_one_of_a_container_may_live() -> None:
    this = Process.this()
    assert not replace(this, boot_id="the boot before").is_alive
    contained = replace(this, pid=2**22, namespace="pid:[1]")
    assert contained.is_alive
    assert not contained.is_here
    assert not replace(contained, boot_id="the boot before").is_alive


def test_one_that_has_ended_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        began = psutil.Process(child.pid)
        alive = replace(Process.this(), pid=child.pid, start_time=_ticks(child.pid))
        assert alive.is_alive
        child.communicate(b"\n", timeout=20)
        assert not began.is_running()
        assert not alive.is_alive
    finally:
        child.kill()
        child.wait()


def _ticks(pid: int) -> float:
    from gswarm_remote import processtable

    entry = processtable.entry(pid)
    assert entry is not None
    return entry.start_time
