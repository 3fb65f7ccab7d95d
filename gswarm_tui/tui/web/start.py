"""What ``gswarm-tui --web`` does: listen, say where, serve."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from gswarm_tui.cli import output
from gswarm_tui.cli.listening import warn_if_open
from gswarm_tui.listening import bind, url_of
from gswarm_tui.tui.web import guard
from gswarm_tui.tui.web.server import WebServer


def serve(options: Sequence[str], address: str, port: int) -> None:
    """Serve the screens until Ctrl-C.

    Args:
        options: those of `gswarm-tui` for the process that each browser gets.
        port: 0 for a free one.

    Raises:
        GswarmError: the address or the port cannot be listened on.
        UsageError: the token of the environment is too short.
    """
    token, chosen = guard.token(os.environ)
    with bind(address, port) as listening:
        port = listening.getsockname()[1]
        argv = [sys.executable, "-P", "-m", "gswarm_tui.tui", *options, "--in-browser"]
        server = WebServer(argv, guard.Guard(token, address, port), listening)
        url = url_of(address, port)
        said = f"{url}/?token=…" if chosen else f"{url}/?token={token}"

        def ready() -> None:
            warn_if_open(
                address,
                "Whoever has the token sees the fleet and can do there what you can; all of it"
                " travels in the clear",
            )
            if chosen:
                output.say(f"the token is what ${guard.VARIABLE} holds")
            output.say("open this in a browser; Ctrl-C ends it")
            output.show(said)
            output.flush()  # whoever waits for the URL in a pipe gets it now

        asyncio.run(server.run(ready))
    output.say("stopped")
