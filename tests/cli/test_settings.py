"""Settings that are wrong are said before anything is left to the night."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..cron.conftest import Machine
from ..cron.conftest import machine as machine
from .conftest import Command

PLAYBOOK = "- {action_id: a, action_type: noop}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "p.yaml", "--check"),
        ("run", "p.yaml", "--check", "--offline"),
        ("run", "p.yaml", "--detach"),
        ("cron", "install", "p.yaml", "--schedule", "@daily"),
        ("queue", "status"),
    ],
)
def test_wrong_settings_are_said_at_once(
    gswarm: Command,
    machine: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    (tmp_path / "p.yaml").write_text(PLAYBOOK)
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.yaml").write_text("queue: {max_concurent_tasks: 4, retry_count: no}\n")
    ended = gswarm(*arguments)
    assert ended.code == 2
    assert "config.yaml:1:9: queue: unknown key `max_concurent_tasks`" in ended.err
    assert "config.yaml:1:46: queue.retry_count: expected a whole number" in ended.err
    (home / "config.yaml").write_text("")
    monkeypatch.setenv("GSWARM_QUEUE_RETRY_COUNT", "-1")
    ended = gswarm(*arguments)
    assert ended.code == 2
    assert "$GSWARM_QUEUE_RETRY_COUNT: expected a whole number of at least 0" in ended.err
    assert not machine.table.exists()
