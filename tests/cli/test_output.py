from __future__ import annotations

import io
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from gswarm_tui.cli import output
from gswarm_tui.cli.progress import Lines, reporter
from gswarm_tui.errors import GswarmError
from gswarm_tui.progress import Progress, ignore
from gswarm_tui.wording import describe, few, limit


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, "-"),
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (99_940, "99.9 kB"),
        (99_960, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (13_968_179_200, "14.0 GB"),
        (5e18, "5000 PB"),
    ],
)
def test_sizes(count: float | None, shown: str) -> None:
    assert output.size(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"),
        (-5.0, "0 s"),
        (0.0, "0 ms"),
        (0.012, "12 ms"),
        (0.096, "0.1 s"),
        (3.21, "3.2 s"),
        (250, "4 min 10 s"),
        (7500, "2 h 5 min"),
        (266_400, "3 d 2 h"),
    ],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert output.duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.25, "0.25 s"),
        (3.0, "3 s"),
        (90.5, "1 min 30.5 s"),
        (90.0, "1 min 30 s"),
        (7200.0, "2 h"),
        (7501.0, "2 h 5 min 1 s"),
        (90_000.0, "1 d 1 h"),
    ],
)
def test_limits_are_as_they_were_set(seconds: float, shown: str) -> None:
    assert limit(seconds) == shown


def test_times_are_those_of_the_users_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert output.moment("2026-11-21T14:05:09.123Z") == "2026-11-21 23:05"
        assert output.moment("2026-11-21T14:05:09+00:00") == "2026-11-21 23:05"
    finally:
        monkeypatch.undo()
        time.tzset()
    assert (output.moment(None), output.moment("long ago")) == ("-", "long ago")


def test_nothing_steers_the_terminal() -> None:
    assert output.clean("a\x1b]0;x\x07b\u202ec\x9bd\ne") == "a�]0;x�b�c�d�e"
    assert output.clean("naïve 模型 🚀\n", keep="\n") == "naïve 模型 🚀\n"
    assert output.cell(["a\x1b", None, True]) == "a�, -, yes"


def test_a_piped_table_is_aligned_and_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("name", "what"), [("模型", "x" * 300), ("b", None)])
    head, first, second = capsys.readouterr().out.splitlines()
    assert head == "NAME  WHAT"
    assert first == "模型  " + "x" * 300
    assert second == "b     -"


def test_on_a_terminal_a_table_folds_to_its_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    output.table(("name", "what"), [("a", "[bold]" + "x" * 60)])
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= 40
    assert "".join(line[6:].strip() for line in lines[2:]) == "[bold]" + "x" * 60


def test_progress_in_words() -> None:
    report = Progress("download", done=1_000_000, total=4_000_000, rate=1_000_000.0)
    assert describe(report) == "1.0 MB of 4.0 MB, 1.0 MB/s, 3 s left"
    assert describe(Progress("load", message="warming\x1b up")) == "warming� up"
    assert describe(Progress("load", done=5)) == "5 B"
    beginning = Progress("download", done=3, total=4_000_000, rate=1.0)
    assert describe(beginning) == "3 B of 4.0 MB"


def test_lines_are_printed_when_something_is_new(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines("download tiny")
    for done in range(5):
        lines(Progress("download", done=done, total=9))
    lines(Progress("verify"))
    assert capsys.readouterr().err.splitlines() == [
        "download tiny: download  0 B of 9 B",
        "download tiny: verify",
    ]


def test_with_json_nothing_is_shown() -> None:
    with reporter("x", quiet=True) as callback:
        assert callback is ignore


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_what_is_done_goes_on_where_stderr_cannot_be_written() -> None:
    code = (
        "import sys; from gswarm_tui.cli import output;"
        " [output.say(text) for text in 'ab']; output.show('done')"
    )
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=full)
    assert (ended.returncode, ended.stdout) == (0, b"done\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
@pytest.mark.parametrize("arguments", [["example", "-o", ".", "--json"], ["run", "--help"]])
def test_a_full_disk_under_stdout_is_no_bug(tmp_path: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "gswarm_tui.cli", *arguments],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr == "error: stdout cannot be written: No space left on device\n"


def test_what_is_copied_is_never_folded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    path = "/srv/" + "x" * 60
    columns, rows = ("model", "device", "path"), [("tiny", "node1:disk", path), ("b", "c", None)]

    def printed(width: int) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        output.table(columns, rows, apart=("path",), key=2)
        return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()

    narrow = printed(60)
    assert "PATH" not in narrow[0]
    assert narrow[-1] == f"tiny on node1:disk, path: {path}"
    assert len(narrow) == 5
    wide = printed(120)
    assert "PATH" in wide[0]
    assert wide[2].rstrip().endswith(path)


@pytest.mark.parametrize(("count", "shown"), [(0, "0 nodes"), (1, "1 node"), (2, "2 nodes")])
def test_numbers_of_things(count: int, shown: str) -> None:
    assert output.number_of(count, "node") == shown


@pytest.mark.parametrize(
    ("names", "shown"),
    [([], ""), (["a"], "a"), (["a", "b"], "a, b"), (["a", "b", "c", "d"], "a, b and 2 more")],
)
def test_names_in_a_row(names: list[str], shown: str) -> None:
    assert few(names, 2) == shown


def test_nothing_that_is_said_steers_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.say("a\x1b]0;hi\x07\u202e\n\tb")
    output.show("a\x1b[31m\n")
    said = capsys.readouterr()
    assert said.err == "a\ufffd]0;hi\ufffd\ufffd\n\tb\n"
    assert said.out == "a\ufffd[31m\n\n"


def test_a_sentence_breaks_between_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = "  failed: a: it has a  very long reason"
    output.show(sentence, prose=True)
    assert capsys.readouterr().out == f"{sentence}\n"
    monkeypatch.setenv("COLUMNS", "20")
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    output.show(sentence, prose=True)
    output.say("模型模型模型 模型模型\nshort", prose=True)
    output.say("x" * 30 + " gswarm", prose=True)
    output.say("  hint: gswarm jobs --since 24h", prose=True)
    output.say(sentence)
    out, err = capsys.readouterr()
    assert out.splitlines() == ["  failed: a: it has", "    a  very long", "    reason"]
    assert err.splitlines() == [
        *("模型模型模型", "  模型模型", "short"),
        *("x" * 30, "  gswarm"),
        "  hint: gswarm jobs --since 24h",
        sentence,
    ]


def test_a_line_of_blanks_is_an_empty_one_however_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")
    output.print_error(GswarmError(f"it said:\n{' ' * 30}\n\t{' ' * 30}\nno"))
    assert capsys.readouterr().err == "error: it said:\n\n\nno\n"


def test_a_sentence_below_its_table_breaks_between_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")
    output.table(("task", "what"), [("a", "it has a very very long reason")], apart=("what",))
    below = capsys.readouterr().out.splitlines()[-2:]
    assert below == ["a: it has a very very long", "  reason"]
    said = "ssh -N -L 8000:127.0.0.1:8000 node1"
    output.table(("task", "what"), [("a", said)], apart=("what",), whole=True)
    assert capsys.readouterr().out.splitlines()[-1] == f"a: {said}"


def test_what_a_terminal_writes_at_ctrl_c_does_not_move_the_bar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system=None, width=60)
    monkeypatch.setattr("rich.console.Console", lambda **_: console)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with reporter("fetch tiny", quiet=False) as callback:
        callback(Progress("download", done=1, total=2))
        drawn = file.getvalue()
    assert drawn.endswith("\n")  # so the line that ^C comes behind is an empty one
