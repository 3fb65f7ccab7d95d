"""`gswarm state check`, `repair` and `prune`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gswarm_tui.state.database import Database

from .conftest import Command


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with a registered model and two jobs that ended long ago."""
    path = tmp_path / "home" / "gswarm.db"
    with Database(path) as database:
        database.execute(
            "INSERT INTO models VALUES ('qwen', NULL, NULL, NULL, '[]', '{}', ?, ?)",
            ("2020-01-01", "2020-01-01"),
        )
        for _ in range(2):
            database.execute(
                "INSERT INTO jobs (name, playbook, state, host, pid, process_started, created_at,"
                " finished_at) VALUES ('n', 'p', 'failed', 'h', 1, 1.0, '2020-01-01', '2020-01-01')"
            )
    logs = path.parent / "logs"
    logs.mkdir()
    (logs / "job-1.log").write_bytes(b"x" * 1000)
    return path


def damage(path: Path) -> None:
    path.write_bytes(b"\0garbage" * 10 + path.read_bytes()[80:])


def test_a_sound_database(gswarm: Command, path: Path) -> None:
    ended = gswarm("state", "check")
    assert ended.code == 0
    shown = dict(line.split("  ", 1) for line in ended.out.splitlines())
    assert shown["database"].strip() == str(path)
    assert shown["state"].strip() == "sound"
    assert shown["jobs"].strip() == "2"
    assert shown["logs of jobs"].strip() == "1.0 kB"
    assert gswarm("state", "repair").out == f"{path} is sound: nothing was changed\n"


def test_a_sound_database_as_json(gswarm: Command, path: Path) -> None:
    document = gswarm("state", "check", "--json").document
    assert document["ok"] is True
    assert document["size"] == path.stat().st_size
    assert document["log_size"] == 1000
    assert document["counts"]["models"] == 1
    assert gswarm("state", "repair", "--json").document["damaged"] is None


def test_a_damaged_database_is_found_and_repaired(gswarm: Command, path: Path) -> None:
    damage(path)
    (path.parent / "gswarm.db.checked").unlink()
    found = gswarm("state", "check")
    assert found.code == 1
    assert re.search(r"^state +damaged\nproblem +file is not a database$", found.out, re.MULTILINE)
    assert "file is not a database" in found.out
    assert "gswarm state repair" in found.err
    listed = gswarm("model", "list")
    assert listed.code == 1
    assert "gswarm state repair" in listed.err

    ended = gswarm("state", "repair")

    assert ended.code == 0
    assert [line.split() for line in ended.out.splitlines() if line.startswith("jobs")] == [
        ["jobs", "2", "0"]
    ]
    (kept,) = path.parent.glob("gswarm.db.damaged-*")
    assert f"the damaged database is kept as {kept}" in ended.out
    assert kept.read_bytes().startswith(b"\0garbage")
    assert gswarm("state", "check").code == 0


def test_a_repair_as_json(gswarm: Command, path: Path) -> None:
    damage(path)
    document = gswarm("state", "repair", "--json").document
    assert document["problems"] == ["file is not a database"]
    assert {"name": "models", "saved": 1, "lost": 0} in document["tables"]
    assert Path(document["damaged"]).exists()


def test_prune(gswarm: Command, path: Path) -> None:
    ended = gswarm("state", "prune")
    assert ended.out.startswith("removed 2 jobs, ")
    assert not (path.parent / "logs" / "job-1.log").exists()
    assert gswarm("state", "prune").out == (
        "nothing to remove: 90 days, 1000 ended jobs and 1.0 GB are kept\n"
    )


def test_prune_as_the_settings_say(gswarm: Command, path: Path) -> None:
    (path.parent / "config.yaml").write_text("retention: {days: 36500, jobs: 1}\n")
    assert gswarm("state", "prune", "--json").document["jobs"] == 1


def test_a_wrong_setting_is_said_with_its_place(gswarm: Command, path: Path) -> None:
    (path.parent / "config.yaml").write_text("retention: {day: 3}\n")
    ended = gswarm("state", "prune")
    assert ended.code == 2
    assert "config.yaml:1:13: retention: unknown key `day`; did you mean `days`?" in ended.err


def test_without_a_database(gswarm: Command, tmp_path: Path) -> None:
    ended = gswarm("state", "check")
    assert ended.code == 1
    assert "there is no database here" in ended.err
