"""systemd's user timers; `systemctl` only takes notes, what it is given is read by systemd."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from gswarm_tui.cron.timers import Timers, folder, lingers
from gswarm_tui.errors import GswarmError, UsageError

from .conftest import Machine, entry

AWKWARD = entry(
    "a.b",
    "/bin/echo",
    "run",
    '/x/50% "of" $it\\.yaml',
    folder="/",
    schedule="0 0 1 * 0",
    environment={"V": 'a "b" 100% $HOME'},
)


@pytest.fixture
def timers(tmp_path: Path) -> Timers:
    return Timers(tmp_path / "units")


def test_what_is_written(timers: Timers, machine: Machine) -> None:
    timers.install(entry(environment={"PATH": "/a b"}))
    service = (timers.folder / "gswarm-deploy.service").read_text()
    assert 'ExecStart="/venv/bin/gswarm" "run" "/work/deploy.yaml" "--quiet"\n' in service
    assert 'Environment="PATH=/a b"\n' in service
    assert "WorkingDirectory=/work\n" in service
    timer = (timers.folder / "gswarm-deploy.timer").read_text()
    assert "OnCalendar=*-*-* 03:00:00\n" in timer
    assert machine.told == [
        "--user daemon-reload",
        "--user enable gswarm-deploy.timer",
        "--user restart gswarm-deploy.timer",
    ]


def test_an_entry_is_read_as_it_was_written(timers: Timers, machine: Machine) -> None:
    timers.install(AWKWARD)
    timers.install(AWKWARD)
    (timers.folder / "gswarm-other.timer").write_text("[Timer]\nOnCalendar=daily\n")
    assert timers.entries() == [AWKWARD]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_systemd_understands_it(timers: Timers, machine: Machine) -> None:
    timers.install(AWKWARD)
    ended = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", *timers.folder.glob("gswarm-*")],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(timers.folder)},
    )
    assert [line for line in ended.stderr.splitlines() if "gswarm" in line] == []


def test_a_timer_is_removed(timers: Timers, machine: Machine) -> None:
    timers.install(entry())
    timers.install(entry("other"))
    timers.remove("deploy")
    assert [one.name for one in timers.entries()] == ["other"]
    assert machine.told[-2:] == [
        "--user disable --now gswarm-deploy.timer",
        "--user daemon-reload",
    ]


def test_nothing_is_left_where_systemd_does_not_answer(timers: Timers, machine: Machine) -> None:
    machine.break_systemd()
    with pytest.raises(GswarmError, match="No medium found") as raised:
        timers.install(entry())
    assert "loginctl enable-linger" in str(raised.value.hint)
    assert list(timers.folder.iterdir()) == []


def test_what_was_there_stays_where_systemd_does_not_take_the_new_one(
    timers: Timers, machine: Machine
) -> None:
    timers.install(entry(schedule="0 3 * * *"))
    machine.break_systemd()
    with pytest.raises(GswarmError):
        timers.install(entry(schedule="0 4 * * *"))
    assert [str(one.schedule and one.schedule.text) for one in timers.entries()] == ["0 3 * * *"]


def test_what_systemd_cannot_say(timers: Timers, machine: Machine) -> None:
    with pytest.raises(UsageError, match="cannot say @reboot"):
        timers.install(entry(schedule="@reboot"))
    assert not timers.folder.exists()


def test_lingering(machine: Machine) -> None:
    assert lingers() is True
    machine.linger("no")
    assert lingers() is False
    (machine.folder / "linger").unlink()
    assert lingers() is None


def test_where_units_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert folder({}) == Path("/home/ada/.config/systemd/user")
    assert folder({"XDG_CONFIG_HOME": "/c"}) == Path("/c/systemd/user")
