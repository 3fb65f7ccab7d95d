"""What every test may count on."""

from __future__ import annotations

import gc
import signal

from hypothesis import HealthCheck, settings

# How long it takes says how busy others are.
settings.register_profile("gswarm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gswarm")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell ignores Ctrl-C for what it starts with `&`, and gswarm leaves it so; tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: looking through them for garbage took half of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)
