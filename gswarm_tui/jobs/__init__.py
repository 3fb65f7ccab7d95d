"""Jobs: runs of playbooks, queued, retried, and resumed after a kill.

::

    result = await Runner(plan(playbook, inventory), models, database).run(observer)

The names below are imported on first use: reading a log needs no runner.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gswarm_tui.jobs.events import Event as Event
    from gswarm_tui.jobs.events import JobResult as JobResult
    from gswarm_tui.jobs.events import Observer as Observer
    from gswarm_tui.jobs.events import TaskResult as TaskResult
    from gswarm_tui.jobs.journal import submit as submit
    from gswarm_tui.jobs.run import Runner as Runner

_MODULES = {
    "Event": "events",
    "JobResult": "events",
    "Observer": "events",
    "Runner": "run",
    "TaskResult": "events",
    "submit": "journal",
}

__all__ = ["Event", "JobResult", "Observer", "Runner", "TaskResult", "submit"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
