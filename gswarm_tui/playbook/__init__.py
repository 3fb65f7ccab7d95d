"""Playbooks: YAML files of actions, checked against an inventory, ordered and run.

::

    playbook = load(Path("deploy.yaml"), {"model": "hf://org/name"})
    result = await Runner(plan(playbook, inventory), models, database).run(observer)
"""

from __future__ import annotations

from gswarm_tui.playbook.compare import Comparison, compare
from gswarm_tui.playbook.events import Event, JobResult, Observer, TaskResult
from gswarm_tui.playbook.journal import submit
from gswarm_tui.playbook.json_schema import json_schema
from gswarm_tui.playbook.options import Options, Retry
from gswarm_tui.playbook.origin import Origin
from gswarm_tui.playbook.plan import Plan, PlannedAction
from gswarm_tui.playbook.planner import plan
from gswarm_tui.playbook.run import Runner
from gswarm_tui.playbook.schema import Playbook, load, reload

__all__ = [
    "Comparison",
    "Event",
    "JobResult",
    "Observer",
    "Options",
    "Origin",
    "Plan",
    "PlannedAction",
    "Playbook",
    "Retry",
    "Runner",
    "TaskResult",
    "compare",
    "json_schema",
    "load",
    "plan",
    "reload",
    "submit",
]
