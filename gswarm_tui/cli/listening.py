"""What the commands that answer others have in common: where they listen, and who may ask."""

from __future__ import annotations

import os
from typing import Annotated, TypeAlias

import typer

from gswarm_tui.cli import output
from gswarm_tui.errors import UsageError
from gswarm_tui.loopback import is_loopback

Address: TypeAlias = Annotated[str, typer.Option(help="The address to listen on.")]
Port: TypeAlias = Annotated[
    int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")
]
TokenEnv: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The variable with the token that clients must send."),
]


def token_of(variable: str | None) -> str | None:
    """The token in an environment variable; None where no variable is named.

    Raises:
        UsageError: there is none in it.
    """
    if variable is None:
        return None
    token = os.environ.get(variable, "").strip()
    if not token:
        raise UsageError(
            f"${variable} holds no token",
            hint=f"export {variable}=… before, with a secret of yours",
        )
    return token


def warn_if_open(address: str, said: str) -> None:
    """Say on stderr that others reach an address, and what that means: ``said``."""
    if not is_loopback(address):
        output.say(f"warning: {address} is open to the network. {said}")
