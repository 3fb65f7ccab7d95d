"""gswarm runs a fleet of GPU machines from one terminal, over plain SSH.

The names below are the Python API; each is imported when it is first used, so that importing this
package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gswarm_tui.devices import Device as Device
    from gswarm_tui.errors import GswarmError as GswarmError
    from gswarm_tui.fleet import Fleet as Fleet
    from gswarm_tui.home import Home as Home
    from gswarm_tui.inventory import Inventory as Inventory
    from gswarm_tui.inventory.nodespec import NodeSpec as NodeSpec
    from gswarm_tui.jobs import Runner as Runner
    from gswarm_tui.models import Models as Models
    from gswarm_tui.playbook import Plan as Plan
    from gswarm_tui.playbook import Playbook as Playbook
    from gswarm_tui.progress import Progress as Progress
    from gswarm_tui.state.database import Database as Database
    from gswarm_tui.state.jobs import Jobs as Jobs
    from gswarm_tui.state.models import Registry as Registry
    from gswarm_tui.state.queue import Queue as Queue

__version__ = "0.1.0"

_MODULES = {
    "Database": "gswarm_tui.state.database",
    "Device": "gswarm_tui.devices",
    "Fleet": "gswarm_tui.fleet",
    "GswarmError": "gswarm_tui.errors",
    "Home": "gswarm_tui.home",
    "Inventory": "gswarm_tui.inventory",
    "Jobs": "gswarm_tui.state.jobs",
    "Models": "gswarm_tui.models",
    "NodeSpec": "gswarm_tui.inventory.nodespec",
    "Plan": "gswarm_tui.playbook",
    "Playbook": "gswarm_tui.playbook",
    "Progress": "gswarm_tui.progress",
    "Queue": "gswarm_tui.state.queue",
    "Registry": "gswarm_tui.state.models",
    "Runner": "gswarm_tui.jobs",
}

__all__ = [
    "Database",
    "Device",
    "Fleet",
    "GswarmError",
    "Home",
    "Inventory",
    "Jobs",
    "Models",
    "NodeSpec",
    "Plan",
    "Playbook",
    "Progress",
    "Queue",
    "Registry",
    "Runner",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
