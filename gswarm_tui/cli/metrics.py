"""`gswarm metrics`: the fleet for Prometheus."""

from __future__ import annotations

import signal

import typer

from gswarm_tui.cli import context, listening, options, output
from gswarm_tui.cli.context import Session

PORT = 9409

app = options.group("Serve the fleet's metrics to Prometheus.")


@app.command()
def serve(
    ctx: typer.Context,
    patterns: options.Patterns = None,
    address: listening.Address = "127.0.0.1",
    port: listening.Port = PORT,
    bandwidth: options.Bandwidth = False,
    nvlink: options.Nvlink = False,
    token_env: listening.TokenEnv = None,
) -> None:
    """Serve the metrics of all nodes, or of some, until Ctrl-C."""
    token = listening.token_of(token_env)

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
            listening.warn_if_open(address, "The token and the metrics travel in the clear")
            _tell_ready(url, len(nodes))
            await stop.wait()

    context.run(ctx, work)
    output.say("stopped")


def _tell_ready(url: str, nodes: int) -> None:
    output.say(f"serving the metrics of {output.number_of(nodes, 'node')}; Ctrl-C ends it")
    output.show(url)
    output.flush()  # whoever waits for this line in a pipe gets it now
