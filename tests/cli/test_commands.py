"""The frame of the command line: the table of commands, options of `gswarm` itself, errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import gswarm_tui
from gswarm_tui.cli import EXIT_BROKEN_PIPE, EXIT_INTERRUPTED, commands, main
from gswarm_tui.cli.commands import COMMANDS, hoist, load
from gswarm_tui.errors import GswarmError, UnreachableError, UsageError

from ..models.fake import FakeFleet
from .conftest import Command

HEAVY = {"asyncssh", "textual", "huggingface_hub", "pydantic", "rich", "yaml", "asyncio"}


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_the_table_says_what_the_command_says(entry: commands.Entry) -> None:
    help_text = load(entry.name).help
    assert help_text.split("\n\n")[0].replace("\n", " ").strip() == entry.help


@pytest.mark.parametrize(
    "group", [entry.name for entry in COMMANDS if hasattr(load(entry.name), "commands")]
)
def test_no_line_of_a_groups_help_is_cut(gswarm: Command, group: str) -> None:
    listed = gswarm(group, "--help").out.splitlines()
    assert [line for line in listed[1:] if line.endswith("...")] == []


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from gswarm_tui.cli import main; main(['--help']);"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Run a fleet of GPU machines" in ended.stdout
    assert HEAVY.isdisjoint(ended.stderr.split())


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import gswarm_tui; print(*sorted(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {name for name in ended.stdout.split() if name.startswith("gswarm")}
    assert ours == {"gswarm_tui"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["run", "p.yaml", "-i", "inv"], ["-i", "inv", "run", "p.yaml"]),
        (["run", "p", "-e", "i=1", "--data-dir=d"], ["--data-dir=d", "run", "p", "-e", "i=1"]),
        (["nodes", "--debug", "--", "-i"], ["--debug", "nodes", "--", "-i"]),
        (["nodes", "-i"], ["-i", "nodes"]),
    ],
)
def test_options_of_gswarm_may_stand_anywhere(given: list[str], expected: list[str]) -> None:
    assert hoist(given) == expected


def test_ctrl_c_before_anything_is_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "hoist", interrupted)
    assert main(["nodes"]) == EXIT_INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


def test_the_inventory_may_be_named_after_the_command(gswarm: Command, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("nodes:\n  node3: {}\n")
    ended = gswarm("nodes", "-i", str(other), "--json")
    assert [node["name"] for node in ended.document["nodes"]] == ["node3"]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"gswarm {gswarm_tui.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nodess"], "error: No such command 'nodess'. Did you mean 'nodes'"),
        (["model", "move", "x", "--from", "disk"], "error: Missing option '--to'"),
        (["model", "serve", "x", "--device", "gpu0", "--port", "0"], "error: Invalid value"),
    ],
)
def test_what_is_typed_wrong_is_said_once_with_where_to_look(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(said)
    assert "  hint: see: gswarm" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (GswarmError("it failed", where="x"), 1, "error: x: it failed\n"),
        (UsageError("it is wrong", hint="do this"), 2, "error: it is wrong\n  hint: do this\n"),
        (UnreachableError("no route", where="node1"), 3, "error: node1: no route\n"),
        (GswarmError("\x1b[31mred\x07"), 1, "error: �[31mred�\n"),
        (KeyboardInterrupt(), EXIT_INTERRUPTED, "interrupted\n"),
        (ValueError("oops"), 1, "error: unexpected ValueError: oops\n  hint: this is a bug"),
    ],
)
def test_every_error_is_a_sentence_and_an_exit_code(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(ctx: typer.Context) -> None:
        raise error

    monkeypatch.setattr("gswarm_tui.cli.nodes.nodes", fail)
    assert main(["nodes"]) == code
    captured = capsys.readouterr()
    assert captured.err.startswith(said)
    assert "Traceback" not in captured.err
    assert main(["nodes", "--debug"]) == code
    shown = "Traceback" in capsys.readouterr().err
    assert shown is not isinstance(error, KeyboardInterrupt)


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = (
        "import sys; from gswarm_tui.cli import main, output;"
        "import gswarm_tui.cli.nodes as nodes;"
        "nodes.nodes = lambda: [output.show('x' * 1000) for _ in range(1000)] and None;"
        "sys.exit(main(['nodes']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == EXIT_BROKEN_PIPE


@pytest.mark.parametrize(
    ("arguments", "instead"),
    [
        (["host", "start", "--port", "8090", "--model-port", "9010"], "gswarm nodes"),
        (["host", "stop"], "gswarm down"),
        (["host", "status"], "gswarm status"),
        (["host"], "gswarm status"),
        (["client", "list"], "gswarm nodes"),
        (["client", "connect", "10.0.0.9:8090", "--resilient"], "add the machine to the inventory"),
        (["client", "disconnect"], "gswarm down NODE"),
    ],
)
def test_there_are_no_daemons(
    arguments: list[str], instead: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr().err
    assert f"error: there is no {arguments[0]} daemon" in captured
    assert instead in captured
    assert captured.count("hint:") == 1
    assert captured.count("gswarm nodes") + captured.count("gswarm down") <= 1


def test_module_and_script_are_the_same_command() -> None:
    environment = {**os.environ, "COLUMNS": "80"}
    ended = subprocess.run(
        [sys.executable, "-m", "gswarm_tui.cli"], capture_output=True, text=True, env=environment
    )
    assert ended.returncode == 2
    assert "Usage: gswarm [OPTIONS] COMMAND" in ended.stderr
    assert ended.stdout == ""


def test_an_inventory_that_is_wrong_stops_before_anything(
    gswarm: Command, fleet: FakeFleet, tmp_path: Path
) -> None:
    (tmp_path / "bad.yaml").write_text("nodes:\n  node1: {hots: a}\n")
    ended = gswarm("nodes", "-i", "bad.yaml")
    assert ended.code == 2
    assert "bad.yaml:2:" in ended.err
    assert fleet["node1"].calls == []


def test_the_documentation_has_every_command() -> None:
    document = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    names = [entry.name for entry in COMMANDS if entry.section]
    groups = [name for name in names if hasattr(load(name), "commands")]
    names = [name for name in names if name not in groups]
    names += [f"{group} {verb}" for group in groups for verb in load(group).commands]
    missing = [name for name in names if f"`gswarm {name}" not in document]
    assert missing == []


def test_a_terminal_that_lacks_a_character_is_no_error() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    code = "from gswarm_tui.cli import main, output; main(['--version']); output.show('a 模型')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.splitlines()[-1] == b"a ??"


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)])
def test_a_stream_that_is_closed_is_no_error(closed: tuple[int, ...], tmp_path: Path) -> None:
    """``gswarm … >&-``: also no file that is opened later gets what was for the stream."""
    seen = tmp_path / "seen"
    code = (
        "import os, sys; from gswarm_tui.cli import main, output;"
        "import gswarm_tui.cli.nodes as nodes;\n"
        "def shown():\n"
        "    output.show('data'); output.say('said'); sys.stderr.isatty()\n"
        f"    os.write(os.open({str(seen)!r}, os.O_WRONLY | os.O_CREAT), b'mine')\n"
        "nodes.nodes = shown; code = main(['nodes'])\n"
        f"open({str(seen)!r}, 'a').write(f', {{code}}')\n"
    )
    shell = " ".join(f"{number}>&-" for number in closed)
    ended = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {shell}', sys.executable, code], capture_output=True, text=True
    )
    assert seen.read_text() == "mine, 0"
    assert ended.stdout == ("" if 1 in closed else "data\n")
    assert ended.stderr == ("" if 2 in closed else "said\n")


def test_a_file_that_has_the_number_of_a_closed_stream_is_left_alone(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    code = (
        f"import os; number = os.open({str(seen)!r}, os.O_WRONLY | os.O_CREAT)\n"
        "from gswarm_tui.cli import main; code = main(['--version'])\n"
        "os.write(number, f'{number}, {code}'.encode())\n"
    )
    shell = ["sh", "-c", '"$0" -c "$1" >&-', sys.executable, code]
    ended = subprocess.run(shell, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert seen.read_text() == "1, 0"
