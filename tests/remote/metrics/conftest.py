"""Simulated GPUs beneath the real nvitop, in the tests' own process."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pynvml
import pytest
from gswarm_remote.metrics import simulated
from gswarm_remote.metrics.simulation import Simulation

Install = Callable[..., Simulation]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts simulated GPUs where the driver is; what was there is there again after the test."""
    from nvitop.api import libnvml

    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})

    def chosen(began: float | None = None, **config: Any) -> Simulation:
        return simulated.install(config, time.time() if began is None else began)

    yield chosen
    with contextlib.suppress(libnvml.NVMLError):
        libnvml.nvmlShutdown()
