"""Jobs under all that can happen to them, in any order; whatever happens, the promises hold.

The runner, the database and the language are the real ones; nodes are in memory and remember what
they were asked. A longer search: ``HYPOTHESIS_PROFILE=long pytest tests/jobs/machine``.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gswarm_tui.config import QueueConfig
from gswarm_tui.inventory import Inventory
from gswarm_tui.inventory.nodespec import Capabilities, NodeSpec
from gswarm_tui.jobs import submit
from gswarm_tui.playbook import Plan, plan
from gswarm_tui.playbook.language import schema
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.queue import Queue
from gswarm_tui.state.states import ENDED, State
from gswarm_tui.yamlfile import load_yaml

from . import playbooks
from .nodes import Nodes
from .processes import Process
from .promises import Promises

TICK_S = 0.05
CONFIG = QueueConfig(
    max_concurrent_tasks=8,
    max_tasks_per_node=5,
    max_transfers_per_node=2,
    retry_count=2,
    retry_backoff_s=0.1,
)
INVENTORY = Inventory(
    nodes={
        name: NodeSpec(name, name, root="/r", capabilities=Capabilities(gpus=(0, 1)))
        for name in ("node1", "node2")
    }
)


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose time passes by turns, not by itself."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def turn(self, times: int) -> None:
        """Let everything that is ready have its turn, so often."""
        self.run_until_complete(self._turn(times))

    async def _turn(self, times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(0)
            self.now += TICK_S


class JobsMachine(RuleBasedStateMachine):
    """Up to three jobs of up to 60 tasks, each run by a process that may die."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "state.db"
        self.database = Database(self.path)
        self.jobs, self.queue = Jobs(self.database), Queue(self.database)
        self.loop = Loop()
        self.patch = pytest.MonkeyPatch()
        clock = SimpleNamespace(time=lambda: 1e6 + self.loop.now)
        self.patch.setattr("gswarm_tui.state.queue.time", clock)
        self.patch.setattr("gswarm_tui.jobs.journal._LOST_EVERY_S", 0.0)
        self.plans: dict[int, Plan] = {}
        self.processes: list[Process] = []
        self.nodes = Nodes(self.note_begin)
        self.promises = Promises(self.database, self.nodes, self.plans, CONFIG)

    def teardown(self) -> None:
        try:
            self.bring_to_an_end()
        finally:
            for process in self.living():
                process.kill()
            self.bury()
            self.loop.turn(3)
            self.patch.undo()
            self.loop.close()
            self.database.close()
            self.folder.cleanup()

    def note_begin(self, key: str) -> None:
        self.promises.check_begin(key, self.loop.now)

    # What people and cron do

    @precondition(lambda self: len(self.plans) < 3)
    @rule(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 60))
    def submit(self, seed: int, size: int) -> None:
        document = load_yaml(playbooks.write(Random(seed), size), name="p.yaml")
        planned = plan(schema.read(document, {}, default_name="p"), INVENTORY)
        job_id = submit(planned, self.jobs)
        self.plans[job_id] = planned
        self.begin(job_id)

    @rule(data=st.data(), again=st.sampled_from(["resume", "retry", "from"]))
    def open_again(self, data: st.DataObject, again: str) -> None:
        job_id = self.some_job(data, living=False)
        if job_id is None:
            return
        job = self.jobs.get(job_id)
        assert job is not None
        if job.state is not State.PENDING:
            task = self.some_task(data, job_id) if again == "from" else None
            self.jobs.reset(job_id, retry=again == "retry", from_task=task)
            self.promises.note_reset(job_id, task)
        self.begin(job_id)

    @rule(data=st.data())
    def cancel_job(self, data: st.DataObject) -> None:
        """`gswarm job cancel`."""
        job_id = self.some_job(data)
        if job_id is None:
            return
        job = self.jobs.get(job_id)
        assert job is not None
        if job.state in ENDED:
            return
        self.jobs.request_cancel(job_id)
        self.promises.note_cancel(job_id, self.loop.now)
        if job.state is State.LOST or not self.living(job_id):
            self.jobs.mark_lost()
            self.nodes.cancel_tasks(f"{job.key}/")
            self.jobs.abandon(job_id)

    @rule(data=st.data())
    def cancel_task(self, data: st.DataObject) -> None:
        """`gswarm queue cancel`."""
        job_id = self.some_job(data)
        if job_id is not None:
            self.jobs.request_cancel_task(job_id, self.some_task(data, job_id))

    @rule(what=st.sampled_from(["pause", "resume", "resume", "clear"]))
    def order_the_queue(self, what: str) -> None:
        getattr(self.queue, what)()

    @rule(data=st.data(), how=st.sampled_from(["ctrl-c", "end of the coroutine"]))
    def interrupt(self, data: st.DataObject, how: str) -> None:
        process = self.some_process(data)
        if process is not None and how == "ctrl-c":
            process.runner.cancel()
        elif process is not None:
            process.task.cancel()

    # What happens

    @rule(turns=st.integers(1, 30))
    def time_passes(self, turns: int) -> None:
        self.loop.turn(turns)

    @rule(
        count=st.integers(1, 12),
        seed=st.integers(0, 2**32 - 1),
        health=st.sampled_from(["good", "good", "mixed", "bad"]),
    )
    def nodes_work(self, count: int, seed: int, health: str) -> None:
        random = Random(seed)
        good = {"good": 1.0, "mixed": 0.6, "bad": 0.0}[health]
        for _ in range(count):
            self.loop.turn(2)
            if not self.nodes.running:
                continue
            key = random.choice(list(self.nodes.running))
            if random.random() < good:
                self.nodes.succeed(key)
            elif random.random() < 0.3:
                self.nodes.cut(key)
            else:
                self.nodes.fail(key, random.choice(["incomplete", "incomplete", "source"]))

    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        process = self.some_process(data)
        if process is not None:
            process.kill()

    @rule(data=st.data(), writes=st.integers(1, 30), after=st.booleans())
    def kill_at_a_write(self, data: st.DataObject, writes: int, after: bool) -> None:
        process = self.some_process(data)
        if process is not None:
            process.database.fuse, process.database.after = writes, after
            self.loop.turn(3)

    # What is promised

    @invariant()
    def the_promises_hold(self) -> None:
        self.bury()
        self.promises.check()

    # How

    def begin(self, job_id: int) -> None:
        process = Process(self.loop, self.plans[job_id], job_id, self.nodes, self.path, CONFIG)
        self.processes.append(process)

    def bury(self) -> None:
        """Take leave of processes that are over; those that died did not say so."""
        while over := [each for each in self.processes if each.is_dead or each.is_over]:
            process = over[0]
            self.processes.remove(process)
            if process.is_dead:
                process.task.cancel()
                while not process.is_over:
                    self.loop.turn(1)
                self.database.execute(
                    "UPDATE jobs SET process_started = 0 WHERE id = ? AND state = 'running'",
                    (process.job_id,),
                )
            process.close()
            if process.is_dead or process.task.cancelled():
                process.task.cancelled() or process.task.exception()
            else:
                self.promises.check_result(process.task.result(), process.events)

    def living(self, job_id: int | None = None) -> list[Process]:
        return [
            each
            for each in self.processes
            if not each.is_dead and not each.is_over and job_id in (None, each.job_id)
        ]

    def some_process(self, data: st.DataObject) -> Process | None:
        living = self.living()
        return data.draw(st.sampled_from(living)) if living else None

    def some_job(self, data: st.DataObject, *, living: bool | None = None) -> int | None:
        self.jobs.mark_lost()
        found = [each for each in self.plans if living is None or bool(self.living(each)) is living]
        return data.draw(st.sampled_from(found)) if found else None

    def some_task(self, data: st.DataObject, job_id: int) -> str:
        return data.draw(st.sampled_from([each.action_id for each in self.plans[job_id].actions]))

    def bring_to_an_end(self) -> None:
        """Nobody dies any more, nodes do what they are asked: then every job ends."""
        for process in self.processes:
            process.database.fuse = None
        self.queue.resume()
        for _ in range(300):
            self.bury()
            self.jobs.mark_lost()
            left = [job for job in self.jobs.recent() if job.state not in ENDED]
            if not left and not self.processes:
                break
            for job in left:
                if not self.living(job.id):
                    if job.state is State.LOST:
                        self.jobs.reset(job.id)
                        self.promises.note_reset(job.id, None)
                    self.begin(job.id)
            for key in list(self.nodes.running):
                self.nodes.succeed(key)
            self.loop.turn(10)
            self.promises.check()
        for key in list(self.nodes.running):  # that nobody waits for any more
            self.nodes.succeed(key)
        states = {job.id: job.state for job in self.jobs.recent()}
        assert states.keys() == self.plans.keys()
        assert not states or set(states.values()) <= ENDED, states
        self.promises.check_end()


_LONG = settings(max_examples=3000, stateful_step_count=80, deadline=None)
_USUAL = settings(max_examples=80, stateful_step_count=40, deadline=None)
_IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
JobsMachine.TestCase.settings = _LONG if _IS_LONG else _USUAL
TestJobs = JobsMachine.TestCase
