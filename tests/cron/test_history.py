"""How the runs of a cron job went."""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from gswarm_tui.cron.history import KEPT, forget, last, names, noted, runs
from gswarm_tui.errors import LockedOutError, StateError


def test_a_run_is_noted_from_its_beginning(tmp_path: Path) -> None:
    assert last(tmp_path, "nightly") is None
    with noted(tmp_path, "nightly") as note:
        begun = last(tmp_path, "nightly")
        assert begun is not None
        assert (begun.is_running, begun.job, begun.finished_at) == (True, None, None)
        note.job(17)
        note.end(1, "failed: fetch: no room")
    run = last(tmp_path, "nightly")
    assert run is not None
    assert (run.job, run.exit_code, run.error) == (17, 1, "failed: fetch: no room")
    assert run.finished_at is not None
    assert not run.is_running
    (file,) = (tmp_path / "nightly").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (LockedOutError("another run", hint="wait"), 4, "another run"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("oh"), 1, "unexpected ZeroDivisionError: oh"),
    ],
)
def test_what_leaves_is_its_end(tmp_path: Path, error: BaseException, code: int, said: str) -> None:
    with pytest.raises(type(error)), noted(tmp_path, "nightly"):
        raise error
    run = last(tmp_path, "nightly")
    assert run is not None
    assert (run.exit_code, run.error) == (code, said)


def test_an_end_without_words_is_a_good_one(tmp_path: Path) -> None:
    with noted(tmp_path, "nightly"):
        pass
    run = last(tmp_path, "nightly")
    assert run is not None
    assert (run.exit_code, run.error) == (0, None)


def test_a_process_that_is_gone_does_not_run(tmp_path: Path) -> None:
    with noted(tmp_path, "nightly"):
        (file,) = (tmp_path / "nightly").iterdir()
        document = json.loads(file.read_text())
        document["process"]["start_time"] -= 100  # another one has the number now
        file.write_text(json.dumps(document))
        run = last(tmp_path, "nightly")
        assert run is not None
        assert (run.is_running, run.went) == (False, "lost")


@pytest.mark.parametrize("text", ["", "[]", '{"pid": 1}', "{"])
def test_a_file_that_says_nothing(tmp_path: Path, text: str) -> None:
    with noted(tmp_path, "nightly"):
        pass
    (tmp_path / "nightly" / "9999.json").write_text(text)
    assert [run.went for run in runs(tmp_path, "nightly")] == ["succeeded"]


def test_names_are_known_until_they_are_forgotten(tmp_path: Path) -> None:
    for name in ("nightly", "hourly"):
        with noted(tmp_path, name):
            pass
    assert names(tmp_path) == ["hourly", "nightly"]
    forget(tmp_path, "nightly")
    assert names(tmp_path) == ["hourly"]
    assert list(runs(tmp_path, "nightly")) == []


def test_what_a_killed_run_had_half_written_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "nightly"
    folder.mkdir()
    for name in ("killed.new", "another-writes.new"):
        (folder / name).touch()
    os.utime(folder / "killed.new", (1e9, 1e9))
    with noted(tmp_path, "nightly"):
        pass
    assert [path.name for path in folder.glob("*.new")] == ["another-writes.new"]


def test_it_is_forgotten(tmp_path: Path) -> None:
    with noted(tmp_path, "nightly"):
        pass
    forget(tmp_path, "nightly")
    forget(tmp_path, "nightly")
    assert list(tmp_path.iterdir()) == []


def test_a_run_goes_on_where_it_is_forgotten_or_cannot_be_noted(tmp_path: Path) -> None:
    said: list[str] = []
    with noted(tmp_path, "nightly", warn=said.append) as note:
        forget(tmp_path, "nightly")
        note.job(17)
    assert (list(tmp_path.iterdir()), said) == ([], [])
    with suppress(LockedOutError), noted(tmp_path, "nightly", warn=said.append):
        forget(tmp_path, "nightly")
        (tmp_path / "nightly").touch()
        raise LockedOutError("the run's own failure")
    (one,) = said
    assert one.endswith("what runs cannot be noted: Not a directory")


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot be noted"), noted(tmp_path / "x", "nightly"):
        pass


def test_two_at_once_do_not_write_over_each_other(tmp_path: Path) -> None:
    with noted(tmp_path, "nightly") as first:
        first.job(17)
        with suppress(LockedOutError), noted(tmp_path, "nightly"):
            raise LockedOutError("another run", hint="wait")
        first.end(0, None)
    found = list(runs(tmp_path, "nightly"))
    # Of the same millisecond, perhaps: either may come first.
    assert sorted(str(run.job) + " " + run.went for run in found) == [
        "17 succeeded",
        "None locked out",
    ]
    assert names(tmp_path) == ["nightly"]


def test_so_many_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "nightly"
    folder.mkdir()
    for number in range(KEPT):
        (folder / f"2020-{number:04}.json").touch()
    with noted(tmp_path, "nightly"):
        pass
    left = sorted(path.name for path in folder.iterdir())
    assert (len(left), left[0]) == (KEPT, "2020-0001.json")
