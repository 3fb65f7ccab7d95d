"""The queue: whose turn it is, what keeps it, and that nobody holds what another one holds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gswarm_tui.state import queue as queue_module
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs, NewJob, NewTask
from gswarm_tui.state.queue import Claim, Queue
from gswarm_tui.state.states import Priority, State

GPU = Claim("device/node1:gpu0", "node1:gpu0", exclusive=True)
OTHER_GPU = Claim("device/node1:gpu1", "node1:gpu1", exclusive=True)
READ = Claim("copy/tiny/node1:disk", "tiny on node1:disk", exclusive=False)
WRITE = Claim("copy/tiny/node1:disk", "tiny on node1:disk", exclusive=True)
SLOT = Claim("network/node1", "the network of node1", exclusive=False, slots=2)


class Fixture:
    """Jobs with tasks that enter the queue in a line, and a clock that the test turns."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.jobs, self.queue = Jobs(database), Queue(database)
        self.now = 1_000_000.0
        monkeypatch.setattr(queue_module.time, "time", lambda: self.now)

    def job(self, *names: str, priority: Priority = Priority.NORMAL) -> int:
        tasks = [NewTask(name, "serve", name, (), priority) for name in names]
        job_id = self.jobs.create(NewJob("demo", "/p.yaml", {}, tasks))
        self.jobs.begin(job_id)
        return job_id

    def enter(self, job_id: int, name: str, *claims: Claim) -> None:
        self.jobs.enter(job_id, [(name, claims)])

    def admit(self, job_id: int, limit: int = 100) -> list[str]:
        return [attempt.action_id for attempt in self.jobs.admit(job_id, limit)]

    def end(self, job_id: int, name: str) -> None:
        self.jobs.end(job_id, name, State.SUCCEEDED)

    def why(self, job_id: int, name: str) -> str | None:
        return next(t.waiting for t in self.jobs.tasks(job_id) if t.action_id == name)


@pytest.fixture
def of(database: Database, monkeypatch: pytest.MonkeyPatch) -> Fixture:
    return Fixture(database, monkeypatch)


def test_who_wants_what_another_job_holds_waits_and_says_for_whom(of: Fixture) -> None:
    one, other = of.job("llama"), of.job("qwen")
    of.enter(one, "llama", GPU)
    assert of.admit(one) == ["llama"]
    of.enter(other, "qwen", GPU)
    assert of.admit(other) == []
    assert of.why(other, "qwen") == "waiting for node1:gpu0, held by job 1 (serve llama)"
    of.end(one, "llama")
    assert of.admit(other) == ["qwen"]


def test_readers_share_and_a_writer_waits_for_them(of: Fixture) -> None:
    job = of.job("a", "b", "writer", "late")
    for name, claim in (("a", READ), ("b", READ), ("writer", WRITE), ("late", READ)):
        of.enter(job, name, claim)
    assert of.admit(job) == ["a", "b"]
    assert "which job 1 (serve writer) gets first" in str(of.why(job, "late"))
    of.end(job, "a")
    assert of.admit(job) == []
    of.end(job, "b")
    assert of.admit(job) == ["writer"]
    of.end(job, "writer")
    assert of.admit(job) == ["late"]


def test_many_readers_that_waited_for_a_writer_all_go_on(of: Fixture) -> None:
    names = [f"r{n}" for n in range(100)]
    job = of.job("writer", *names)
    of.enter(job, "writer", WRITE)
    of.admit(job)
    for name in names:
        of.enter(job, name, READ)
    assert of.admit(job) == []
    of.end(job, "writer")
    assert of.admit(job, 1000) == names


def test_a_task_takes_all_or_nothing(of: Fixture) -> None:
    job = of.job("one", "both", "other")
    of.enter(job, "one", GPU)
    of.admit(job)
    of.enter(job, "both", OTHER_GPU, GPU)
    of.enter(job, "other", OTHER_GPU)
    # `both` holds nothing while it waits, and yet nobody overtakes it.
    assert of.admit(job) == []
    of.end(job, "one")
    assert of.admit(job) == ["both"]
    of.end(job, "both")
    assert of.admit(job) == ["other"]


def test_a_number_of_slots_bounds_how_many_hold_a_thing(of: Fixture) -> None:
    job = of.job("a", "b", "c", "d")
    for name in "abcd":
        of.enter(job, name, SLOT)
    assert of.admit(job) == ["a", "b"]
    of.end(job, "b")
    assert of.admit(job) == ["c"]


def test_of_two_with_the_same_rank_one_has_its_turn(of: Fixture, database: Database) -> None:
    """Two processes may give it in the same microsecond."""
    one, other = of.job("a"), of.job("b")
    of.enter(one, "a", GPU)
    of.enter(other, "b", GPU)
    for table in ("tasks", "claims"):
        database.execute(f"UPDATE {table} SET rank = 7")
    assert of.admit(other) == []
    assert of.admit(one) == ["a"]
    of.end(one, "a")
    assert of.admit(other) == ["b"]


def test_who_waits_for_a_slot_is_told_which_job_has_most_of_them(of: Fixture) -> None:
    one, other, third = of.job("a", "b"), of.job("x"), of.job("y")
    for job, name in ((one, "a"), (one, "b"), (other, "x")):
        of.enter(job, name)
        of.admit(job)
    of.enter(third, "y")
    assert of.why(third, "y") == "waiting for its turn: 3 tasks run, 2 of them of job 1"


def test_a_limit_bounds_all_jobs_together_and_the_earliest_goes_first(of: Fixture) -> None:
    one, other = of.job("a", "b"), of.job("x")
    of.enter(one, "a")
    assert of.admit(one, 1) == ["a"]
    of.enter(other, "x")
    of.now += 1
    of.enter(one, "b")
    assert of.admit(other, 1) == []
    assert of.why(other, "x") == "waiting for its turn: 1 task runs, of job 1"
    assert of.why(one, "b") == "waiting for its turn: 1 task runs"
    of.end(one, "a")
    assert of.admit(one, 1) == [], "x of the other job was there before"
    assert of.admit(other, 1) == ["x"]


def test_a_higher_priority_goes_first_but_not_for_ever(of: Fixture) -> None:
    low = of.job("low", priority=Priority.LOW)
    soon = of.job("soon", priority=Priority.CRITICAL)
    late = of.job("late", priority=Priority.CRITICAL)
    of.enter(low, "low", GPU)
    of.now += 1700
    of.enter(soon, "soon", GPU)
    of.now += 200
    of.enter(late, "late", GPU)
    assert of.admit(late) == []
    assert of.admit(low) == []
    assert of.admit(soon) == ["soon"]
    of.end(soon, "soon")
    assert of.admit(late) == [], "it became ready more than 30 minutes after"
    assert of.admit(low) == ["low"]


def test_those_that_wait_for_each_others_things_do_not_keep_a_slot_free(of: Fixture) -> None:
    one, other = of.job("holder", "reader", "writer"), of.job("x")
    slot = Claim("network/node1", "the network of node1", exclusive=False, slots=1)
    of.enter(one, "holder", READ, slot)
    assert of.admit(one, 2) == ["holder"]
    # Each is parked at a key that the other one wishes for too.
    of.enter(one, "reader", READ, slot)
    of.enter(one, "writer", WRITE, slot)
    of.now += 1
    of.enter(other, "x")
    assert of.admit(one, 2) == []
    assert of.admit(other, 2) == ["x"]
    of.end(one, "holder")
    of.end(other, "x")
    assert of.admit(one, 2) == ["reader"]
    of.end(one, "reader")
    assert of.admit(one, 2) == ["writer"]


def test_a_paused_queue_admits_nothing_and_says_so(of: Fixture) -> None:
    job = of.job("a")
    of.queue.pause()
    of.enter(job, "a")
    assert of.admit(job) == []
    assert of.why(job, "a") == "the queue is paused (gswarm queue resume)"
    of.queue.resume()
    assert of.admit(job) == ["a"]


def test_the_queue_in_numbers_and_in_the_order_of_turns(of: Fixture) -> None:
    job = of.job("run", "wait", "gone")
    urgent = of.job("urgent", priority=Priority.HIGH)
    for name in ("run", "wait", "gone"):
        of.enter(job, name, GPU)
    of.admit(job)
    of.enter(urgent, "urgent", GPU)
    status = of.queue.status()
    assert (status.running, status.waiting, status.paused) == (1, 3, False)
    assert status.by_priority[Priority.HIGH] == 1
    shown = [(task.job_id, task.action_id) for task in of.queue.tasks()]
    assert shown == [(job, "run"), (urgent, "urgent"), (job, "wait"), (job, "gone")]
    assert of.queue.clear() == 3
    assert of.jobs.cancel_requests(job) == (False, ["gone", "wait"])
    of.end(job, "run")
    assert [task.action_id for task in of.queue.history()] == ["run"]


KEYS = ("a", "b", "c")


class QueueMachine(RuleBasedStateMachine):
    """Jobs that come, go and die; whatever happens, nobody holds what excludes another."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.database = Database(Path(self.folder.name) / "state.db")
        self.jobs = Jobs(self.database)
        self.waiting: set[tuple[int, str]] = set()
        self.running: set[tuple[int, str]] = set()
        self.claims: dict[tuple[int, str], tuple[Claim, ...]] = {}
        self.next = 0

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    @initialize(count=st.integers(1, 3))
    def begin(self, count: int) -> None:
        self.ids = []
        for _ in range(count):
            tasks = [NewTask(f"t{n}", "noop", "", ()) for n in range(60)]
            job_id = self.jobs.create(NewJob("demo", "", {}, tasks))
            self.jobs.begin(job_id)
            self.ids.append(job_id)

    @precondition(lambda self: self.next < 60)
    @rule(
        data=st.data(),
        wishes=st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["shared", "own", "slot"])),
    )
    def enter(self, data: st.DataObject, wishes: dict[str, str]) -> None:
        job_id = data.draw(st.sampled_from(self.ids))
        task = (job_id, f"t{self.next}")
        self.next += 1
        claims = tuple(
            Claim(key, key, exclusive=how == "own", slots=2 if how == "slot" else None)
            for key, how in wishes.items()
        )
        self.jobs.enter(job_id, [(task[1], claims)])
        self.claims[task] = claims
        self.waiting.add(task)

    @rule(data=st.data(), limit=st.integers(1, 5))
    def admit(self, data: st.DataObject, limit: int) -> None:
        job_id = data.draw(st.sampled_from(self.ids))
        before = len(self.running)
        admitted = self.jobs.admit(job_id, limit)
        assert not admitted or before + len(admitted) <= limit
        for attempt in admitted:
            task = (job_id, attempt.action_id)
            self.waiting.remove(task)
            self.running.add(task)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), state=st.sampled_from([State.SUCCEEDED, State.FAILED]))
    def end(self, data: st.DataObject, state: State) -> None:
        task = data.draw(st.sampled_from(sorted(self.running)))
        self.jobs.end(*task, state)
        self.running.remove(task)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(sorted(self.waiting)))
        self.jobs.end(*task, State.CANCELLED)
        self.waiting.remove(task)

    @precondition(lambda self: len(self.ids) > 1)
    @rule()
    def die(self) -> None:
        job_id = self.ids.pop()
        self.database.execute(
            "UPDATE jobs SET process_started = process_started - 3600 WHERE id = ?", (job_id,)
        )
        assert [job.id for job in self.jobs.mark_lost()] == [job_id]
        self.waiting = {task for task in self.waiting if task[0] != job_id}
        self.running = {task for task in self.running if task[0] != job_id}

    @invariant()
    def nobody_holds_what_excludes_another(self) -> None:
        holders: dict[str, list[Claim]] = {}
        for task in self.running:
            for claim in self.claims[task]:
                holders.setdefault(claim.key, []).append(claim)
        for claims in holders.values():
            assert len(claims) == 1 or not any(claim.exclusive for claim in claims)
        rows = self.database.query("SELECT job_id, action_id FROM claims WHERE held")
        held = {(row["job_id"], row["action_id"]) for row in rows}
        assert held == {task for task in self.running if self.claims[task]}

    @invariant()
    def whoever_waits_gets_its_turn(self) -> None:
        """With nothing running, something can be admitted; and why others wait is a sentence."""
        if self.waiting and not self.running:
            admitted: list[Any] = []
            with self.database.transaction():
                for job_id in self.ids:
                    admitted += Queue(self.database).admit(job_id, 100)
                    if admitted:
                        break
                self.database.execute("UPDATE claims SET held = 0")
            assert admitted


QueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestQueue = QueueMachine.TestCase


def test_the_counter_of_slots_is_exact(of: Fixture) -> None:
    names = [f"t{n}" for n in range(20)]
    job = of.job(*names)
    for name in names:
        of.enter(job, name, SLOT)
    seen: Counter[int] = Counter()
    left = len(names)
    running: list[str] = []
    while left:
        running += of.admit(job)
        seen[len(running)] += 1
        of.end(job, running.pop(0))
        left -= 1
    assert max(seen) == 2
