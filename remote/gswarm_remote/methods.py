"""The methods of a helper other than the node's own: where each is, and whose results are kept.

A module is imported when one of its methods is first called, so that a helper that only shows its
node is small and starts fast.
"""

from __future__ import annotations

from typing import Mapping, Tuple

METHODS: Mapping[str, Tuple[str, ...]] = {
    "models.handlers": (
        "model.import",
        "model.stage",
        "model.manifest",
        "model.delete",
        "model.verify",
        "model.scan",
        "model.adopt",
        "model.describe",
    ),
    "transfer.handlers": (
        "model.fetch",
        "model.receive.begin",
        "model.receive.finish",
        "model.send.begin",
    ),
    "engines.handlers": ("engine.start", "engine.stop", "engine.log"),
    "services.handlers": ("service.start", "service.stop", "http.check"),
    "commands.handlers": ("command.run", "command.look"),
    "metrics.handlers": ("metrics.watch", "metrics.describe"),
    "leases.handlers": ("lease.take", "lease.drop"),
    "tasks.handlers": ("task.list", "task.cancel"),
}

KEPT = frozenset(
    {
        "model.fetch",
        "model.import",
        "model.stage",
        "model.receive.finish",
        "model.verify",
        "model.scan",
        "model.adopt",
        "engine.start",
        "service.start",
        "command.run",
    }
)
"""Those whose results are kept for the task that asks."""
