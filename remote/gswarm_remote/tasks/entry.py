"""As what the result of a task's work is kept: the task, the method and what was asked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Dict, Mapping

from ..errors import HelperError, Kind

_LONGEST_TASK = 400

_NOT_PART = frozenset({"headers", "origin", "env", "api_key", "timeout_s", "sender"})
"""What says nothing about what is to be done, or is secret: a later controller may send another."""


@dataclass(frozen=True)
class Entry:
    """One piece of work of a task.

    Args:
        task: ``job key/action id/attempt``.
        digest: stands for all three; nothing secret is part of it.
    """

    task: str
    method: str
    digest: str

    @classmethod
    def of(cls, task: str, method: str, params: Mapping[str, Any]) -> Entry:
        """Raises `HelperError` where the parameters are none of the method's."""
        content = [task, method, _identity(method, params)]
        text = json.dumps(content, sort_keys=True, default=repr)
        return cls(task, method, hashlib.sha256(text.encode()).hexdigest()[:40])


def check_task(task: object) -> str:
    """`task` if it can be a task's key.

    Raises:
        HelperError: it cannot.
    """
    if isinstance(task, str) and 0 < len(task) <= _LONGEST_TASK and task.isprintable():
        return task
    raise HelperError(Kind.INVALID, f"{task!r:.80} is no key of a task")


def _identity(method: str, params: Mapping[str, Any]) -> Dict[str, Any]:
    identity = {key: value for key, value in params.items() if key not in _NOT_PART}
    if method == "model.fetch":
        from ..models.manifest import Plan

        # Without URLs: a later controller may be given others, that are signed.
        identity["plan"] = Plan.from_dict(params.get("plan")).id
    if isinstance(identity.get("config"), dict):
        identity["config"] = {k: v for k, v in identity["config"].items() if k != "env"}
    return identity
