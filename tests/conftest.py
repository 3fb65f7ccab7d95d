"""What every test may count on."""

from __future__ import annotations

import asyncio
import gc
import signal
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

# How long it takes says how busy others are.
settings.register_profile("gswarm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gswarm")

gc.disable()  # until the tests begin: nothing is garbage while modules are loaded

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell ignores Ctrl-C for what it starts with `&`, and gswarm leaves it so; tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: looking through them for garbage took half of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()


@pytest.fixture
def servers_end_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """uvicorn looks every 0.1 s whether it should end, and rests for 0.1 s before it does."""
    hurried = ModuleType("asyncio")
    hurried.__dict__.update({**vars(asyncio), "sleep": lambda delay: asyncio.sleep(delay / 20)})
    monkeypatch.setattr("uvicorn.server.asyncio", hurried)
