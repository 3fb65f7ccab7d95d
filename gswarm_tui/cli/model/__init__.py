"""`gswarm model`: one file a family of verbs."""

from __future__ import annotations

import typer

from gswarm_tui.cli.model import placing, registry, serving, upkeep

app = typer.Typer(
    help="Register, place, serve and check models.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
for _family in (registry, placing, serving, upkeep):
    _family.add_to(app)
