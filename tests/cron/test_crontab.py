"""The user's crontab: our lines in it, and everybody else's as they were."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gswarm_tui.cron import crontab
from gswarm_tui.cron.entry import name_for
from gswarm_tui.errors import GswarmError, UsageError

from .conftest import Machine, entry

OTHERS = 'MAILTO=ada\n\n#\ttidy up\n*/5 * * * *\techo "100\\%"  # gswarm\n@reboot  sleep 1\n'


def test_a_line_says_all_of_it() -> None:
    text = crontab.installed("", entry(environment={"PATH": "/a b:/c"}))
    assert text == (
        "0 3 * * * cd /work && env 'PATH=/a b:/c' /venv/bin/gswarm run /work/deploy.yaml --quiet"
        " # gswarm:deploy\n"
    )


def test_an_entry_is_read_as_it_was_written() -> None:
    given = entry(
        "a.b-c",
        "/v/gswarm",
        "run",
        "/x/50% of it's.yaml",
        "-e",
        'say="hi" # not a mark',
        schedule="@daily",
        folder="/a folder",
        environment={"LANG": "C.UTF-8", "HTTP_PROXY": "http://p?a=b"},
    )
    (read,) = crontab.entries(crontab.installed(OTHERS, given))
    assert read == given
    assert read.playbook == "/x/50% of it's.yaml"


def test_lines_of_others_stay_byte_for_byte() -> None:
    once = crontab.installed(OTHERS, entry())
    assert once.startswith(OTHERS)
    assert crontab.installed(once, entry()) == once
    assert crontab.removed(once, "deploy") == OTHERS
    assert crontab.removed(once, "deplo") == once


def test_a_changed_entry_stays_in_its_place() -> None:
    text = crontab.installed("", entry()) + OTHERS
    changed = crontab.installed(text, entry(schedule="30 4 * * 1"))
    assert changed.startswith("30 4 * * 1 cd /work")
    assert changed.endswith("# gswarm:deploy\n" + OTHERS)


def test_a_line_that_was_there_twice_is_there_once() -> None:
    line = crontab.installed("", entry())
    assert crontab.installed(line + OTHERS + line, entry()) == line + OTHERS


def test_a_line_that_was_commented_out_is_no_entry_and_stays() -> None:
    line = "#" + crontab.installed("", entry())
    assert crontab.entries(line) == []
    assert crontab.removed(line, "deploy") == line
    assert crontab.installed(line, entry()).startswith(line)


def test_what_somebody_has_edited_is_shown_as_far_as_that_goes() -> None:
    (read,) = crontab.entries("0 3 * * x gswarm run it's.yaml # gswarm:deploy\n")
    assert (read.name, read.schedule, read.playbook) == ("deploy", None, "it's.yaml")


lines = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n")))


@given(lines, st.booleans())
def test_any_crontab_stays_as_it_was(others: list[str], ends: bool) -> None:
    text = "\n".join(others) + ("\n" if ends else "")
    with_it = crontab.installed(text, entry("x-1"))
    assert with_it.startswith(text)
    without = crontab.removed(with_it, "x-1")
    assert without in (text, text + "\n")


SAYS = "import json, os, sys; print(json.dumps([sys.argv[1:], os.getcwd(), os.environ.get('V')]))"
words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=12)


@given(st.lists(words, max_size=3), words)
def test_the_shell_that_cron_starts_sees_the_same_words(given: list[str], value: str) -> None:
    made = entry(
        "x", sys.executable, "-IS", "-c", SAYS, *given, folder="/", environment={"V": value}
    )
    try:
        line = crontab.installed("", made)
    except UsageError:  # a backslash that cron cannot say
        return
    command = _as_cron_does(line.removeprefix("0 3 * * * ").rstrip("\n"))
    ended = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=True, text=True)
    assert json.loads(ended.stdout) == [given, "/", value]


def _as_cron_does(command: str) -> str:
    """What Debian's and Vixie's cron make of a line: up to the first ``%`` without ``\\``."""
    out, escaped = "", False
    for character in command:
        if escaped:
            out = out[:-1] if character in "%\\" else out
        elif character == "%":
            break
        out += character
        escaped = character == "\\" and not escaped
    return out


@pytest.mark.parametrize(
    ("name", "word", "said"),
    [
        ("a b", "x", "is no name for a cron job"),
        ("", "x", "is no name for a cron job"),
        ("a", "x\ny", "has a line break"),
        ("a", "x\\%y", "cron cannot say"),
        ("a", "x" * 1000, "bytes, and cron takes 998"),
    ],
)
def test_what_no_crontab_can_hold(name: str, word: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        crontab.installed("", entry(name, word))


@pytest.mark.parametrize(
    ("playbook", "name"),
    [("deploy", "deploy"), ("Deploy the 7B!", "Deploy-the-7B"), ("½", "playbook")],
)
def test_names_from_playbooks(playbook: str, name: str) -> None:
    assert name_for(playbook) == name


def test_the_crontab_goes_through_the_program(machine: Machine) -> None:
    assert crontab.read() == ""
    crontab.write(OTHERS)
    assert machine.table.read_text() == OTHERS
    machine.table.write_bytes(b"# \xff\r\n")
    text = crontab.read()
    crontab.write(crontab.installed(text, entry()))
    assert machine.table.read_bytes().startswith(b"# \xff\r\n0 3 * * * cd /work")


def test_what_the_program_refuses_is_said(machine: Machine) -> None:
    crontab.write(OTHERS)
    with pytest.raises(GswarmError, match="was not changed: new crontab file is missing newline"):
        crontab.write("no end")
    assert machine.table.read_text() == OTHERS


def test_a_machine_without_cron(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GswarmError, match="no program `crontab` here") as raised:
        crontab.read()
    assert "--systemd" in str(raised.value.hint)
