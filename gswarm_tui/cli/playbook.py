"""`gswarm playbook`: look at a playbook without running it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gswarm_tui.cli import options, output
from gswarm_tui.cli.context import Settings, settings_of
from gswarm_tui.cli.run import warn
from gswarm_tui.errors import EXIT_USAGE, GswarmError, PlaybookError, UsageError

if TYPE_CHECKING:
    from gswarm_tui.playbook import Plan, Playbook

WIDTH = 100
"""Columns of a drawing that does not go to a terminal."""

app = options.group("Validate, draw and explain playbooks.")

File = Annotated[Path, typer.Argument(metavar="FILE", help="A YAML file.")]
NoInventory = Annotated[
    bool, typer.Option("--no-inventory", help="Do not look up devices in the inventory.")
]


class Format(StrEnum):
    TEXT = "text"
    SVG = "svg"
    MERMAID = "mermaid"
    DOT = "dot"


@app.command()
def validate(
    ctx: typer.Context,
    file: File,
    variables: options.Variables = None,
    no_inventory: NoInventory = False,
    json: options.Json = False,
) -> None:
    """Report everything that is wrong with a playbook."""
    try:
        playbook, plan = _read(settings_of(ctx), file, variables, no_inventory=no_inventory)
    except PlaybookError as error:
        if json:
            problems = _problems(error)
            output.emit({"file": str(file), "ok": False, "problems": problems, "warnings": []})
            raise typer.Exit(EXIT_USAGE) from None
        raise
    if json:
        warnings = [asdict(notice) for notice in playbook.notices()]
        output.emit({"file": str(file), "ok": True, "problems": [], "warnings": warnings})
        return
    actions = output.number_of(len(plan.actions), "action")
    against = "devices are not checked" if no_inventory else "no node was asked"
    output.show(f"{file}: right, {actions} ({against})")
    output.flush()
    warn(playbook)


@app.command()
def graph(
    ctx: typer.Context,
    file: File,
    variables: options.Variables = None,
    format: Annotated[  # noqa: A002 - the option's name
        Format, typer.Option("--format", help="text, svg, mermaid or dot.")
    ] = Format.TEXT,
    target: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to this file.")
    ] = None,
    expand: Annotated[
        bool, typer.Option("--expand", help="Draw each action of a large for_each separately.")
    ] = False,
    no_inventory: NoInventory = False,
    json: options.Json = False,
) -> None:
    """Draw the dependencies, in the terminal or as a picture."""
    from gswarm_tui.playbook.drawing import FOLD, FORMATS, lanes, steps_of

    _, plan = _read(settings_of(ctx), file, variables, no_inventory=no_inventory)
    steps = steps_of(plan, fold=len(plan.actions) if expand else FOLD)
    if json:
        if format is not Format.TEXT or target is not None:
            raise UsageError("--json prints the steps: neither --format nor --output goes with it")
        output.emit({"name": plan.name, "steps": [asdict(step) for step in steps]})
        return
    if format is not Format.TEXT:
        drawn = FORMATS[format](plan.name, steps)
    elif target is not None:
        drawn = lanes.draw(steps, width=WIDTH) + "\n"
    else:
        drawn = lanes.draw(steps, width=_width(), ascii_only=not _draws_lines()) + "\n"
    if target is None:
        output.show(drawn.removesuffix("\n"))
        return
    try:
        target.write_text(drawn, encoding="utf-8")
    except OSError as error:
        message = f"the drawing cannot be written: {error.strerror or error}"
        raise GswarmError(message, where=str(target)) from None
    output.say(f"written to {target}")


@app.command()
def explain(
    ctx: typer.Context,
    file: File,
    variables: options.Variables = None,
    no_inventory: NoInventory = False,
    json: options.Json = False,
) -> None:
    """Explain in sentences what will happen where, and in which order."""
    from gswarm_tui.playbook.explain import document
    from gswarm_tui.playbook.explain import explain as sentences

    playbook, plan = _read(settings_of(ctx), file, variables, no_inventory=no_inventory)
    if json:
        output.emit(document(playbook, plan))
        return
    for line in sentences(playbook, plan):
        output.show(line, prose=True)


@app.command()
def schema() -> None:
    """Print the JSON Schema of playbooks, for editors."""
    from gswarm_tui.playbook.language.json_schema import json_schema

    output.emit(json_schema())


def _read(
    settings: Settings, file: Path, variables: list[str] | None, *, no_inventory: bool
) -> tuple[Playbook, Plan]:
    """The playbook and its plan.

    Raises:
        UsageError: the playbook, a variable or the inventory is wrong.
    """
    from gswarm_tui import playbook as playbooks
    from gswarm_tui.playbook.language.variables import parse_overrides

    loaded = playbooks.load(file, parse_overrides(variables or ()))
    return loaded, playbooks.plan(loaded, None if no_inventory else settings.inventory())


def _problems(error: PlaybookError) -> list[dict[str, Any]]:
    from gswarm_tui.playbook.language.problems import problems_of

    return [
        {
            "where": problem.where,
            "line": problem.line,
            "column": problem.column,
            "message": problem.message,
            "hint": problem.hint,
        }
        for problem in problems_of(error)
    ]


def _width() -> int:
    """The terminal's, and enough for a reader elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH


def _draws_lines() -> bool:
    """Whether what stdout is written in has box-drawing characters."""
    try:
        "●◆│╰".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
