"""Playbooks: YAML files of actions, checked against an inventory, ordered and run.

::

    playbook = load(Path("deploy.yaml"), {"model": "hf://org/name"})
    result = await Runner(plan(playbook, inventory), models, Jobs(database)).run(observer)
"""

from __future__ import annotations

from gswarm_tui.playbook.events import Event, JobResult, Observer, TaskResult
from gswarm_tui.playbook.plan import Plan, plan
from gswarm_tui.playbook.run import Runner
from gswarm_tui.playbook.schema import Playbook, load

__all__ = [
    "Event",
    "JobResult",
    "Observer",
    "Plan",
    "Playbook",
    "Runner",
    "TaskResult",
    "load",
    "plan",
]
