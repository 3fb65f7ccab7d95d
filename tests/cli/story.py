"""Jobs as runners leave them in the database, for commands that look at them."""

from __future__ import annotations

from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs, NewJob, NewTask
from gswarm_tui.state.queue import Claim
from gswarm_tui.state.states import State

HOSTILE = "echo [bold]hi[/bold] \x1b]0;title\x07\u202e on node1"
PLACED = {
    "model": "tiny",
    "revision": "r1",
    "hash": "sha256:00",
    "size": 10_000_000,
    "path": "/m",
    "device": "node1:disk",
    "devices": ["node1:disk"],
    "already": False,
    "seconds": 1.0,
}


class Story:
    """Jobs as runners leave them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.jobs = Jobs(database)

    def job(self, name: str, *tasks: tuple[str, str, str, tuple[str, ...]]) -> int:
        rows = [NewTask(*task) for task in tasks]
        return self.jobs.create(NewJob(name, f"/playbooks/{name}.yaml", {}, rows))

    def runs(self, job_id: int, action_id: str, *uses: str, node: str | None = None) -> None:
        claims = [Claim(use, use, exclusive=True) for use in uses]
        if node is not None:
            claims.append(Claim(f"node/{node}", node, exclusive=False, node=node))
        self.jobs.enter(job_id, [(action_id, claims)])
        self.jobs.admit(job_id, 100)

    def elsewhere(self, job_id: int) -> None:
        """It is run by a process of a container, which counts as alive."""
        self.jobs.begin(job_id)
        self.database.execute(
            "UPDATE jobs SET host = 'cabin', pid = 7, namespace = 'pid:[1]' WHERE id = ?",
            (job_id,),
        )

    def dies(self, job_id: int) -> None:
        """The process that runs it is gone."""
        self.database.execute(
            "UPDATE jobs SET pid = 4194304, process_started = 1 WHERE id = ?", (job_id,)
        )

    def failed(self, name: str = "deploy") -> int:
        job = self.job(
            name,
            ("fetch", "download", "tiny to node1:disk", ()),
            ("serve", "serve", "tiny on node1:gpu0", ("fetch",)),
            ("ask", "health_check", "http://node1:8080", ("serve",)),
        )
        self.jobs.begin(job)
        self.runs(job, "fetch")
        self.jobs.end(job, "fetch", State.SUCCEEDED, result=PLACED)
        self.runs(job, "serve")
        error = "node1:gpu0: the engine ended\nits log: \x1b[31mout of memory"
        self.jobs.end(job, "serve", State.FAILED, error=error, error_kind="engine_failed")
        self.jobs.end(job, "ask", State.SKIPPED, error="needs serve, which failed")
        self.jobs.finish(job, State.FAILED, exit_code=1)
        return job

    def lost(self, node: str = "node1") -> int:
        job = self.job("nightly", ("one", "noop", "", ()), ("two", "noop", "", ("one",)))
        self.jobs.begin(job)
        self.runs(job, "one", node=node)
        self.dies(job)
        return job

    def waiting(self) -> int:
        """One task that runs, and one that waits for what it holds."""
        job = self.job(
            "pair",
            ("a", "serve", "tiny on node1:gpu0", ()),
            ("b[x]", "command", HOSTILE, ()),
        )
        self.elsewhere(job)
        self.runs(job, "a", "node1:gpu0")
        self.runs(job, "b[x]", "node1:gpu0")
        return job
