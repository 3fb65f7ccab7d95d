"""`gswarm hub`: a folder of models, as a hub."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gswarm_tui.cli import output
from gswarm_tui.errors import UsageError
from gswarm_tui.loopback import is_loopback

if TYPE_CHECKING:
    from gswarm_tui.hub.server import Hub

app = typer.Typer(
    help="Serve a folder of models like the Hugging Face Hub.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Serve a folder of models like the Hugging Face Hub."""


@app.command()
def serve(
    folder: Annotated[Path, typer.Argument(help="The folder; its models are FOLDER/org/name/….")],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 0,
    token_env: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The variable that holds a token which clients must send."
        ),
    ] = None,
) -> None:
    """Serve the models below FOLDER until Ctrl-C."""
    import asyncio

    from gswarm_tui.hub import server

    token = _token(token_env)
    if token_env:
        output.say(f"clients must set HF_TOKEN to what ${token_env} holds")
    if token and not is_loopback(host):
        output.say(
            f"warning: {host} is open to the network, and tokens and models travel in the clear"
        )
    asyncio.run(
        server.serve(
            folder, host=host, port=port, token=token, ready=_tell_ready, hashing=_tell_hashing
        )
    )
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


def _tell_ready(hub: Hub) -> None:
    names = hub.library.names()
    count = "1 model" if len(names) == 1 else f"{len(names)} models"
    output.say(f"serving {count} of {hub.library.folder}; Ctrl-C ends it")
    for name in names:
        output.say(f"  hf://{name}")
    output.show(hub.url)
    output.show(f"export HF_ENDPOINT={hub.url}")
    # Whoever waits for these lines in a pipe gets them now.
    sys.stdout.flush()


def _tell_hashing(path: str, size: int) -> None:
    if size > 1 << 30:
        output.say(f"hashing {path} ({output.size(size)})")
