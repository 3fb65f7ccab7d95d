"""`gswarm model`: one file for each family of verbs."""

from __future__ import annotations

from collections.abc import Callable

from gswarm_tui.cli import options
from gswarm_tui.cli.model.placing import copy, delete, download, move
from gswarm_tui.cli.model.registry import info, list_models, register, status, unregister
from gswarm_tui.cli.model.serving import serve, service_health, services, stop
from gswarm_tui.cli.model.upkeep import scan, verify

app = options.group("Register, place, serve and check models.")
_VERBS: dict[str, Callable[..., None]] = {  # in the order of the help
    "register": register,
    "list": list_models,
    "info": info,
    "status": status,
    "download": download,
    "copy": copy,
    "move": move,
    "delete": delete,
    "serve": serve,
    "stop": stop,
    "services": services,
    "service-health": service_health,
    "verify": verify,
    "scan": scan,
    "unregister": unregister,
}
for _name, _verb in _VERBS.items():
    app.command(_name)(_verb)
