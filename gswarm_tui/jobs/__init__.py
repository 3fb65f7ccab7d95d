"""Jobs: runs of playbooks, queued, retried, and gone on with after a kill.

::

    result = await Runner(plan(playbook, inventory), models, database).run(observer)
"""

from __future__ import annotations

from gswarm_tui.jobs.events import Event, JobResult, Observer, TaskResult
from gswarm_tui.jobs.journal import submit
from gswarm_tui.jobs.run import Runner

__all__ = ["Event", "JobResult", "Observer", "Runner", "TaskResult", "submit"]
