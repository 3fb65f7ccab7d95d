"""Processes are known for certain, and end with all that they started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from gswarm_remote import process, processtable
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.process import MARK, ProcessRecord

SLEEP = "import time; time.sleep(600)"
DEAF = f"import signal; signal.signal(15, signal.SIG_IGN); {SLEEP}"
# A leader whose worker is in another session and does not care for TERM.
WITH_WORKER = (
    "import subprocess, sys;"
    f" w = subprocess.Popen([sys.executable, '-c', {DEAF!r}], start_new_session=True);"
    " print(w.pid, flush=True); "
)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], ProcessRecord]]:
    started: list[ProcessRecord] = []

    def start_one(program: str) -> ProcessRecord:
        record = process.spawn(
            [sys.executable, "-c", program],
            env={**os.environ, MARK: "tested"},
            cwd=tmp_path,
            log=tmp_path / "log",
        )
        started.append(record)
        return record

    yield start_one
    for record in started:
        process.terminate(record, mark="tested", folder=tmp_path, grace_s=0)


def test_a_record_means_one_process_for_certain() -> None:
    ours = ProcessRecord.of(os.getpid())
    assert ours is not None
    assert ours.alive()
    assert not ours.reused()
    assert ProcessRecord.from_dict(ours.to_dict()) == ours
    earlier = replace(ours, start_time=ours.start_time - 1)
    assert not earlier.alive()
    assert earlier.reused()
    assert not replace(ours, boot_id="another").alive()


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", SLEEP])
    record = ProcessRecord.of(child.pid)
    assert record is not None
    assert record.alive()
    child.kill()
    until(lambda: not record.alive())
    entry = processtable.entry(child.pid)
    assert entry is not None
    assert entry.dead
    child.wait()


def test_it_has_a_session_of_its_own_and_logs(
    start: Callable[[str], ProcessRecord], tmp_path: Path
) -> None:
    record = start("import os; print(os.getsid(0) == os.getpid(), os.getcwd(), flush=True)")
    until(lambda: (tmp_path / "log").read_text().endswith("\n"))
    assert (tmp_path / "log").read_text() == f"True {tmp_path}\n"
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
    until(lambda: process.exit_reason(record))
    assert process.exit_reason(record) == "exited with status 0"


def test_secrets_reach_it_through_stdin(tmp_path: Path) -> None:
    record = process.spawn(
        [sys.executable, "-c", "import sys; print(len(sys.stdin.read()))"],
        env={},
        cwd=tmp_path,
        log=tmp_path / "log",
        stdin=b"s" * 60_000,
    )
    until(lambda: process.exit_reason(record))
    assert (tmp_path / "log").read_text() == "60000\n"


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(HelperError, match="cannot be started: No such file") as raised:
        process.spawn(["/nowhere/vllm"], env={}, cwd=tmp_path, log=tmp_path / "log")
    assert raised.value.kind == Kind.INVALID


def test_all_that_it_started_ends_with_it(
    start: Callable[[str], ProcessRecord], tmp_path: Path
) -> None:
    leader = start(WITH_WORKER + SLEEP)
    worker = _worker(tmp_path)
    assert process.terminate(leader, mark="tested", folder=tmp_path, grace_s=0.3) == []
    assert not leader.alive()
    assert not worker.alive()


def test_workers_of_a_leader_that_is_gone_are_found_by_their_mark(
    start: Callable[[str], ProcessRecord], tmp_path: Path
) -> None:
    leader = start(WITH_WORKER)
    worker = _worker(tmp_path)
    until(lambda: not leader.alive())
    assert worker.alive()
    assert process.find_marked("tested") == worker
    assert process.terminate(leader, mark="another", folder=tmp_path / "x", grace_s=0) == []
    assert worker.alive()
    assert process.terminate(leader, mark="tested", folder=tmp_path, grace_s=0) == []
    assert not worker.alive()


def test_nothing_is_killed_when_the_pid_is_somebody_elses(
    start: Callable[[str], ProcessRecord], tmp_path: Path
) -> None:
    other = start(SLEEP)
    meant = replace(other, start_time=other.start_time - 100)
    assert process.terminate(meant, mark="mine", folder=tmp_path / "mine", grace_s=0) == []
    process.send_signal(meant, 9)
    assert other.alive()


def test_a_leader_that_heeds_term_ends_before_its_patience_is_over(
    start: Callable[[str], ProcessRecord], tmp_path: Path
) -> None:
    leader = start(SLEEP)
    began = time.monotonic()
    process.terminate(leader, mark="tested", folder=tmp_path, grace_s=30)
    assert time.monotonic() - began < 10


def test_the_whole_table_is_not_read_all_the_time(
    start: Callable[[str], ProcessRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader = start(DEAF)
    until(lambda: _ignores_term(leader.pid))
    scans: list[float] = []
    entries = processtable.entries

    def counted() -> list[processtable.Entry]:
        scans.append(time.monotonic())
        return entries()

    monkeypatch.setattr(processtable, "entries", counted)
    assert process.terminate(leader, mark="tested", folder=tmp_path, grace_s=0.8) == []
    assert not leader.alive()
    assert len(scans) <= 4  # at TERM, at KILL, after it


def _worker(folder: Path) -> ProcessRecord:
    until(lambda: (folder / "log").read_text().endswith("\n"))
    record = ProcessRecord.of(int((folder / "log").read_text()))
    assert record is not None
    # its handler is in place once it sleeps
    until(lambda: _ignores_term(record.pid))
    return record


def _ignores_term(pid: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    ignored = next(line.split()[1] for line in lines if line.startswith("SigIgn"))
    return bool(int(ignored, 16) >> (signal.SIGTERM - 1) & 1)
