"""docs/cron.md says what there is, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from gswarm_tui import errors
from gswarm_tui.cli.commands import load
from gswarm_tui.cron import history
from gswarm_tui.jobs.overlap import Overlap

TEXT = (Path(__file__).parents[2] / "docs" / "cron.md").read_text()


def table(heading: str) -> list[str]:
    """The first cells of the table with that heading."""
    found = re.search(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", TEXT, flags=re.M)
    assert found is not None, heading
    return [row.split("|")[1].strip() for row in found[1].splitlines()]


def options(command: object) -> set[str]:
    return {
        option
        for parameter in command.params  # type: ignore[attr-defined]
        if not getattr(parameter, "hidden", False)
        for option in parameter.opts
        if option.startswith("--")
    }


def test_every_exit_code_of_a_run_is_in_the_table() -> None:
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert [int(cell) for cell in table("exit code")] == sorted(codes)


def test_every_way_of_meeting_another_run_is_in_the_table() -> None:
    assert table("`--overlap`") == [f"`{overlap}`" for overlap in Overlap]


def test_every_option_of_a_run_is_somewhere() -> None:
    said = {cell.strip("`").split()[0] for cell in table("option of `gswarm run`")}
    elsewhere = {"--var", "--check", "--offline", "--help"}  # docs/playbooks.md
    assert said | elsewhere == options(load("run")) | {"--help"}


def test_every_option_of_install_is_there() -> None:
    synopsis = re.search(r"`gswarm cron install [^`]*`", TEXT.replace("\n", " "))
    assert synopsis is not None
    written = set(re.findall(r"--[a-z]+", synopsis[0])) | {"--var", "--json", "--help"}
    assert written == options(load("cron").commands["install"]) | {"--help"}


def test_every_way_a_run_of_cron_can_go_is_in_the_table() -> None:
    words = {word for cell in table("`WENT`") for word in re.findall(r"`([a-z ]+)`", cell)}
    assert words == {*history.ENDINGS.values(), "skipped", "running", "lost"} - {"succeeded"}
