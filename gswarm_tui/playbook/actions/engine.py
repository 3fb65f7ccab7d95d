"""The spellings of which engine loads a model: ``engine``, and ``framework`` in ``config``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gswarm_tui.playbook.actions.base import SpellingError

FRAMEWORK = "framework"


def engine_and_config(
    engine: str | None, config: Mapping[str, Any] | None
) -> tuple[str | None, dict[str, Any]]:
    """The engine's name, and what is left of the configuration for it.

    Raises:
        SpellingError: the two name different engines, or ``framework`` is no text.
    """
    rest = dict(config or {})
    framework = rest.pop(FRAMEWORK, None)
    path = ("config", FRAMEWORK)
    if framework is not None and not isinstance(framework, str):
        raise SpellingError(path, "expected the name of an engine, such as vllm")
    if engine and framework and engine != framework:
        raise SpellingError(path, f"`engine` is {engine}, and the framework here is {framework}")
    return engine or framework, rest
