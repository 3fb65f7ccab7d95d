"""Playbooks: YAML files of actions, checked against an inventory and ordered.

::

    ready = plan(load(Path("deploy.yaml"), {"model": "hf://org/name"}), inventory)

`gswarm_tui.jobs` runs them.
"""

from __future__ import annotations

from gswarm_tui.playbook.check.compare import Comparison, compare
from gswarm_tui.playbook.language.json_schema import json_schema
from gswarm_tui.playbook.language.options import Options, Retry
from gswarm_tui.playbook.language.origin import Origin
from gswarm_tui.playbook.language.schema import Playbook, load, reload
from gswarm_tui.playbook.plan import Plan, PlannedAction
from gswarm_tui.playbook.planner import plan

__all__ = [
    "Comparison",
    "Options",
    "Origin",
    "Plan",
    "PlannedAction",
    "Playbook",
    "Retry",
    "compare",
    "json_schema",
    "load",
    "plan",
    "reload",
]
