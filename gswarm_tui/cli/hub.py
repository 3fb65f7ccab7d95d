"""`gswarm hub`: a folder of models, as a hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gswarm_tui.cli import listening, options, output

if TYPE_CHECKING:
    from gswarm_tui.hub.server import Hub

app = options.group("Serve a folder of models like the Hugging Face Hub.")


@app.command()
def serve(
    folder: Annotated[Path, typer.Argument(help="The folder; its models are FOLDER/org/name/….")],
    address: listening.Address = "127.0.0.1",
    port: listening.Port = 0,
    token_env: listening.TokenEnv = None,
) -> None:
    """Serve the models below FOLDER until Ctrl-C."""
    import asyncio

    from gswarm_tui.hub import server

    token = listening.token_of(token_env)

    def ready(hub: Hub) -> None:
        listening.warn_if_open(address, "The token and the models travel in the clear")
        if token:
            output.say(f"clients must set HF_TOKEN to what ${token_env} holds")
        _tell_ready(hub)

    asyncio.run(
        server.serve(
            folder, host=address, port=port, token=token, ready=ready, hashing=_tell_hashing
        )
    )
    output.say("stopped")


def _tell_ready(hub: Hub) -> None:
    names = hub.library.names()
    models = output.number_of(len(names), "model")
    output.say(f"serving {models} of {hub.library.folder}; Ctrl-C ends it")
    for name in names:
        output.say(f"  hf://{name}")
    output.show(hub.url)
    output.show(f"export HF_ENDPOINT={hub.url}")
    output.flush()  # whoever waits for these lines in a pipe gets them now


def _tell_hashing(path: str, size: int) -> None:
    if size > 1 << 30:
        output.say(f"hashing {path} ({output.size(size)})")
