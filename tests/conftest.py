"""What every test may count on."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# How long it takes says how busy others are.
settings.register_profile("gswarm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gswarm")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell ignores Ctrl-C for what it starts with `&`, and gswarm leaves it so; tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
