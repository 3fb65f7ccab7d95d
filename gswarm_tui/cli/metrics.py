"""`gswarm metrics`: the fleet for Prometheus."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer

from gswarm_tui.cli import context, options, output
from gswarm_tui.cli.context import Session
from gswarm_tui.errors import UsageError
from gswarm_tui.loopback import is_loopback

PORT = 9409

app = typer.Typer(
    help="Give the fleet's metrics to Prometheus.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Give the fleet's metrics to Prometheus."""


@app.command()
def serve(
    ctx: typer.Context,
    patterns: options.Patterns = None,
    address: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")
    ] = PORT,
    bandwidth: Annotated[
        bool, typer.Option("--bandwidth", help="Measure what goes over PCIe too.")
    ] = False,
    nvlink: Annotated[
        bool, typer.Option("--nvlink", help="Measure what goes over NVLink too.")
    ] = False,
    token_env: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The variable that holds a token which Prometheus must send."
        ),
    ] = None,
) -> None:
    """Serve the metrics of all nodes, or of some, until Ctrl-C."""
    token = _token(token_env)

    async def work(session: Session) -> None:
        import asyncio

        from gswarm_tui.watch.exporter import running
        from gswarm_tui.watch.nodewatch import Wishes
        from gswarm_tui.watch.watcher import FleetWatcher

        nodes = [session.fleet.node(spec.name) for spec in session.inventory.select(patterns)]
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        wishes = Wishes(bandwidth=bandwidth, nvlink=nvlink)
        source = FleetWatcher(nodes, session.home.database, wishes=wishes)
        async with running(source, address=address, port=port, token=token) as url:
            _tell_ready(url, len(nodes), open_to_others=not is_loopback(address))
            await stop.wait()

    context.run(ctx, work)
    output.say("stopped")


def _token(variable: str | None) -> str | None:
    if variable is None:
        return None
    token = os.environ.get(variable, "").strip()
    if not token:
        raise UsageError(
            f"${variable} holds no token",
            hint=f"export {variable}=… before, with a secret of yours",
        )
    return token


def _tell_ready(url: str, nodes: int, *, open_to_others: bool) -> None:
    count = "1 node" if nodes == 1 else f"{nodes} nodes"
    output.say(f"serving the metrics of {count}; Ctrl-C ends it")
    if open_to_others:
        output.say("warning: the token and the metrics travel in the clear")
    output.show(url)
    sys.stdout.flush()  # whoever waits for this line in a pipe gets it now
