"""Real processes that run jobs of one database, and what they would all like to have."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.states import State

RUNNER = Path(__file__).with_name("one_runner.py")
TASKS = 12


@pytest.mark.parametrize(("runners", "slots"), [(2, 100), (3, 1)])
def test_they_never_hold_one_thing_together_and_all_end(
    runners: int, slots: int, tmp_path: Path
) -> None:
    file, log = tmp_path / "p.yaml", tmp_path / "log"
    path = tmp_path / "state.db"
    actions = [
        f"  - {{action_id: t{n}, action_type: move, model_name: m{n},"
        f' devices: ["node1:disk", "node1:gpu{n % 2}"]}}\n'
        for n in range(TASKS)
    ]
    file.write_text("name: p\nactions:\n" + "".join(actions))
    command = [sys.executable, *map(str, (RUNNER, path, file, log, slots))]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(runners)]
    ended = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * runners, ended

    held: Counter[str] = Counter()
    done: Counter[tuple[str, str]] = Counter()
    for line in log.read_text().splitlines():
        what, device, pid, model = line.split()
        held[device] += 1 if what == "begin" else -1
        done[pid, model] += what == "end"
        assert held[device] in (0, 1), line
        assert sum(held.values()) <= slots, line
    assert not any(held.values())
    assert len(done) == runners * TASKS
    assert set(done.values()) == {1}
    with Database(path) as database:
        jobs = Jobs(database).recent()
        assert [job.state for job in jobs] == [State.SUCCEEDED] * runners
        assert len({job.pid for job in jobs}) == runners
        assert database.query("SELECT * FROM claims") == []
