"""What the queue and the journal cost a task: a job of tasks that do nothing, on disk, in one run.

    python benchmarks/jobs.py [--tasks 10000] [--ansible ANSIBLE_PLAYBOOK]

Three shapes of 10,000 tasks (a chain, a fan-out, a random graph): milliseconds a task, with each
state written to SQLite before it is acted on. Beside them the floor, which is the same number of
transactions of SQLite alone, and, where it is given, ansible-playbook with tasks that do nothing.
Then how memory grows from a quarter of the tasks to all of them, and how long one admission takes
with 5,000 tasks waiting. Exits with 1 where a limit is passed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, cast

from gswarm_tui.config import QueueConfig
from gswarm_tui.jobs import Runner
from gswarm_tui.models import Models
from gswarm_tui.playbook import Plan, load, plan
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs, NewJob, NewTask
from gswarm_tui.state.queue import Claim
from gswarm_tui.state.states import State

LIMIT_MS = 1.0
ADMISSION_LIMIT_MS = 5.0
LINEAR = 1.25
"""Memory a task at the full size, at most so much of what it is at a quarter of it."""

WAITING = 5000
ANSIBLE_TASKS = 100
TRANSACTIONS_A_TASK = 3  # enter, admit, end


def needs(shape: str, count: int) -> list[list[int]]:
    """For each task the earlier ones that it needs."""
    if shape == "chain":
        return [[index - 1] if index else [] for index in range(count)]
    if shape == "fan-out":
        return [[0] if index else [] for index in range(count)]
    choose = random.Random(1)
    return [choose.sample(range(i), min(i, choose.randrange(4))) for i in range(count)]


def planned(folder: Path, shape: str, count: int) -> Plan:
    lines = ["name: bench", "actions:"]
    for index, needed in enumerate(needs(shape, count)):
        after = ", ".join(f"t{other}" for other in needed)
        lines.append(f"- {{action_id: t{index}, action_type: noop, dependencies: [{after}]}}")
    path = folder / "bench.yaml"
    path.write_text("\n".join(lines))
    return plan(load(path), None)


def run_job(folder: Path, shape: str, count: int) -> float:
    """Milliseconds a task, from the first to the last."""
    ready = planned(folder, shape, count)
    with Database(folder / f"{shape}-{count}.db") as database:
        runner = Runner(ready, cast(Models, None), database)
        result = asyncio.run(runner.run())
    assert result.state is State.SUCCEEDED, result.state
    return result.seconds / count * 1000


def floor(folder: Path, count: int) -> float:
    """Milliseconds a task that the transactions alone take, each with one row changed."""
    with Database(folder / "floor.db") as database:
        Jobs(database).create(NewJob("floor", "", {}, [NewTask("t", "noop", "", ())]))
        began = time.perf_counter()
        for number in range(count * TRANSACTIONS_A_TASK):
            with database.transaction():
                database.execute("UPDATE tasks SET attempt = ?", (number,))
        return (time.perf_counter() - began) / count * 1000


def memory(shape: str, count: int) -> float:
    """kB of memory a task that a process of its own has at its highest, beyond one of 10 tasks."""

    def peak(tasks: int) -> int:
        command = [sys.executable, __file__, "--peak", shape, "--tasks", str(tasks)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        return int(json.loads(done.stdout))

    return (peak(count) - peak(10)) / count


def peak_of_this_process() -> int:
    """kB. Not getrusage's, which a child takes over from the process that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def admission(folder: Path) -> tuple[float, float]:
    """Milliseconds that one admission takes, the middle and the 99th of 100, with many waiting."""
    gpus = [Claim(f"device/node{n}:gpu0", f"node{n}:gpu0", exclusive=True) for n in range(16)]
    names = [f"t{n}" for n in range(WAITING)]
    with Database(folder / "admission.db") as database:
        jobs = Jobs(database)
        job_id = jobs.create(NewJob("bench", "", {}, [NewTask(n, "serve", "", ()) for n in names]))
        jobs.begin(job_id)
        jobs.enter(job_id, [(name, [gpus[i % len(gpus)]]) for i, name in enumerate(names)])
        running = [attempt.action_id for attempt in jobs.admit(job_id, 128)]
        times = []
        for _ in range(1000):
            jobs.end(job_id, running.pop(0), State.SUCCEEDED)
            began = time.perf_counter()
            running += [attempt.action_id for attempt in jobs.admit(job_id, 128)]
            times.append((time.perf_counter() - began) * 1000)
    assert len(running) == len(gpus)
    times.sort()
    return times[len(times) // 2], times[len(times) * 99 // 100]


def ansible(command: str, folder: Path) -> float:
    """Milliseconds a task of ansible-playbook, tasks that do nothing on this machine."""
    tasks: list[dict[str, Any]] = [{"name": "x", "ansible.builtin.assert": {"that": "true"}}]
    plays = [{"hosts": "localhost", "gather_facts": False, "tasks": tasks * ANSIBLE_TASKS}]
    (folder / "play.yaml").write_text(json.dumps(plays))
    call = [command, "-i", "localhost,", "-c", "local", "play.yaml"]
    began = time.perf_counter()
    subprocess.run(call, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - began) / ANSIBLE_TASKS * 1000


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--tasks", type=int, default=10_000)
    arguments.add_argument("--ansible", help="the ansible-playbook to compare with")
    arguments.add_argument("--peak", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        if options.peak:
            run_job(folder, options.peak, options.tasks)
            print(peak_of_this_process())
            return 0
        return report(folder, options.tasks, options.ansible)


def report(folder: Path, count: int, ansible_playbook: str | None) -> int:
    print(f"{count} tasks that do nothing; {QueueConfig().max_concurrent_tasks} at once\n")
    bare = floor(folder, count)
    print(f"SQLite alone, {TRANSACTIONS_A_TASK} transactions a task: {bare:.3f} ms")
    good = True
    for shape in ("chain", "fan-out", "random"):
        each = run_job(folder, shape, count)
        small, large = memory(shape, count // 4), memory(shape, count)
        good &= each <= LIMIT_MS and large <= small * LINEAR
        print(
            f"{shape}: {each:.3f} ms a task (limit {LIMIT_MS}), {each / bare:.1f} x SQLite alone;"
            f" memory {small:.1f} kB a task at {count // 4}, {large:.1f} kB at {count}"
        )
    middle, late = admission(folder)
    good &= late <= ADMISSION_LIMIT_MS
    print(
        f"admission with {WAITING} waiting: {middle:.3f} ms, 99 of 100 within {late:.3f} ms"
        f" (limit {ADMISSION_LIMIT_MS})"
    )
    if ansible_playbook:
        theirs = ansible(ansible_playbook, folder)
        print(f"ansible-playbook: {theirs:.1f} ms a task")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
