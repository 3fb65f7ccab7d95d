"""`gswarm example`: playbooks that run, and an inventory that shows everything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gswarm_tui.cli import options, output
from gswarm_tui.errors import GswarmError

INVENTORY = "inventory.example.yaml"
_PACKAGE = Path(__file__).resolve().parent.parent


def example(
    folder: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="The folder to write to."),
    ] = Path("examples"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that differ.")] = False,
    json: options.Json = False,
) -> None:
    """Write example playbooks and an inventory."""
    written, kept = write(folder, force=force)
    if json:
        output.emit({"folder": folder, "written": written, "unchanged": kept})
        return
    for path in written:
        output.show(str(path))
    for path in kept:
        output.say(f"{path} is there already")
    playbook = next((path for path in [*written, *kept] if path.name == "quickstart.yaml"), None)
    if playbook is not None:
        output.say(f"try: gswarm run {playbook} --check")


def write(folder: Path, *, force: bool) -> tuple[list[Path], list[Path]]:
    """Write every example into `folder`; returns what was written, and what was there as it is.

    Raises:
        GswarmError: a file there is another one, or cannot be written.
    """
    contents = {folder / source.name: source.read_bytes() for source in sources()}
    kept = [path for path, content in contents.items() if _has(path, content)]
    others = [path for path in contents if path.exists() and path not in kept]
    if others and not force:
        raise GswarmError(
            f"there are other files already: {', '.join(path.name for path in others)}",
            where=str(folder),
            hint="name another folder with --output, or overwrite them with --force",
        )
    written = [path for path in contents if path not in kept]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in written:
            path.write_bytes(contents[path])
    except OSError as error:
        raise GswarmError(
            f"the examples cannot be written: {error.strerror}", where=str(folder)
        ) from None
    return written, kept


def sources() -> list[Path]:
    """The example files: inside the installed package, or in the checkout that this runs from.

    Raises:
        GswarmError: they are in neither place.
    """
    for base in (_PACKAGE / "examples", _PACKAGE.parent):
        playbooks = sorted((base / "playbooks").glob("*.yaml"))
        if playbooks:
            return [*playbooks, *sorted(base.glob(INVENTORY))]
    raise GswarmError(
        "this installation has no examples", hint="install gswarm again: pip install gswarm-tui"
    )


def _has(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content
