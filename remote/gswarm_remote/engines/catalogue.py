"""The engines that there are, and which one is meant."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence

from ..devices import DRAM
from ..errors import HelperError, Kind
from .base import Engine, did_you_mean
from .command import Command
from .mlx import Mlx
from .vllm import Vllm

ENGINES: Dict[str, Engine] = {engine.name: engine for engine in (Command(), Mlx(), Vllm())}


def chosen_name(engine: Optional[str], config: Mapping[str, Any]) -> Optional[str]:
    """The engine that a request names, by ``engine`` or by the source documents' ``framework``.

    Raises:
        HelperError: they name different ones, or one that there is not.
    """
    framework = config.get("framework")
    if engine and framework and engine != framework:
        raise HelperError(
            Kind.INVALID,
            f"engine is {engine}, but config.framework is {framework}",
            hint="give one of the two",
        )
    name = engine or framework
    if name and name not in ENGINES:
        raise HelperError(
            Kind.INVALID,
            f"there is no engine {name!r:.40}{did_you_mean(name, ENGINES)}",
            hint=f"known: {', '.join(ENGINES)}; any other server runs as the engine command",
        )
    return str(name) if name else None


def default_name(devices: Sequence[str], settings: Mapping[str, Any]) -> str:
    """The engine where none is named: the inventory's only one, else vLLM on GPUs, MLX without.

    Args:
        settings: the inventory's ``engines``.
    """
    named = [name for name in settings if name in ENGINES]
    if len(named) == 1:
        return named[0]
    return "mlx" if devices[0] == DRAM else "vllm"
