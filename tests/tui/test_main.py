"""The command line of `gswarm-tui`: what is wrong is a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from gswarm_tui.tui.main import main
from gswarm_tui.tui.web.guard import VARIABLE


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--demo"], "gswarm-tui needs a terminal"),
        (["--bogus"], "unrecognized arguments: --bogus"),
        (["--interval", "99"], "--interval: expected 0.1 to 10"),
        (["--demo", "--port", "80"], "--address and --port say where --web listens"),
        (["--web", "-i", "/no/such/file"], "/no/such/file: "),
    ],
)
def test_mistakes(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert "Traceback" not in printed.err


def test_a_broken_inventory_is_said_before_a_browser_is_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "inventory.yaml"
    file.write_text("nodes: {a: {hots: b}}")
    assert main(["--web", "-i", str(file)]) == 2
    assert f"{file}:1:" in capsys.readouterr().err


def test_a_short_token(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(VARIABLE, "sesame")
    assert main(["--web", "--demo"]) == 2
    said = capsys.readouterr().err
    assert "too short" in said
    assert "sesame" not in said


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert "--in-browser" not in said
    assert VARIABLE in said
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("gswarm-tui ")
