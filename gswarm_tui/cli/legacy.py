"""`gswarm host` and `gswarm client` of the source documents: there are no such daemons here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from gswarm_tui.errors import UsageError

Words = Annotated[list[str] | None, typer.Argument(hidden=True)]

_HOST = {
    "start": "nothing has to be started: gswarm nodes",
    "stop": "to stop idle helpers on nodes: gswarm down",
    "status": "gswarm status",
}
_ADD = "add the machine to the inventory (gswarm example writes one), then: gswarm nodes"
_CLIENT = {
    "connect": _ADD,
    "disconnect": "take the machine out of the inventory; to stop its helper: gswarm down NODE",
    "start": _ADD,
    "stop": "gswarm down NODE",
    "status": "gswarm node status NODE",
}


def _command(daemon: str, answers: dict[str, str], usual: str) -> typer.Typer:
    """A command that takes any words and says what to type instead.

    Args:
        answers: by the first of those words.
        usual: the answer to any other.
    """
    app = typer.Typer(add_completion=False)

    def answer(ctx: typer.Context, words: Words = None) -> None:
        given = words[0] if words else ""
        raise UsageError(
            f"there is no {daemon} daemon: gswarm reaches nodes over SSH, and what runs there goes"
            " by itself",
            hint=answers.get(given, usual),
        )

    settings: dict[str, Any] = {"allow_extra_args": True, "ignore_unknown_options": True}
    decorate: Callable[[Any], Any] = app.command(
        context_settings=settings, help=f"(There is no {daemon} daemon.)"
    )
    decorate(answer)
    return app


host = _command("host", _HOST, "what there is, and what runs: gswarm status")
client = _command("client", _CLIENT, "what nodes there are: gswarm nodes")
